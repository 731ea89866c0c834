"""nerv.yaml as a tree of values that know their line and column: the only other module that reads YAML.

Scalars are resolved as Kubernetes reads them (see nerv.documents): no dates, no yes/no booleans. Everything that is
wrong with the text itself is one Problem; the tree is what models, rules and hints refer to. Lines and columns
count from 1.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ruamel.yaml
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from nerv.errors import Problem, ProblemsError

Path = tuple[str | int, ...]

# Deep enough for any definition; the JSON parser behind the models stops at 200.
_MAX_DEPTH = 60
# Aliases may multiply; a definition of a thousand nodes stays far below.
_MAX_VALUES = 200_000

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?|[0-9]+[eE][-+]?[0-9]{1,2})")
_CONSTANTS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    text: text[0] in "tT" for text in ("true", "True", "TRUE", "false", "False", "FALSE")
}


@dataclass(frozen=True)
class Mark:
    """A place in the text."""

    line: int
    column: int


@dataclass(frozen=True)
class Scalar:
    """Text, number, boolean or nothing."""

    mark: Mark
    value: str | int | float | bool | None


@dataclass(frozen=True)
class Sequence:
    """A list."""

    mark: Mark
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Entry:
    """A key of a mapping, where the key stands, and its value."""

    key: str
    mark: Mark
    value: Node


@dataclass(frozen=True)
class Mapping:
    """A mapping; keys keep their order."""

    mark: Mark
    entries: tuple[Entry, ...]


Node = Scalar | Sequence | Mapping


def read(file: str, data: bytes) -> Node:
    """The tree of `data`, which came from `file`. Raises ProblemsError when it is not one YAML document."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _problem(file, _mark_at(data, error.start), "not UTF-8 text", "save the file as UTF-8") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ruamel warns about anchors used twice, which YAML allows
            root = ruamel.yaml.YAML(typ="safe", pure=True).compose(text)
    except ruamel.yaml.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
        raise _problem(file, place, _said(error.context, error.problem), "not valid YAML") from None
    except ruamel.yaml.error.YAMLError as error:
        raise _problem(file, Mark(1, 1), _first_line(str(error)), "not valid YAML") from None
    except (RecursionError, ValueError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else _first_line(str(error))
        raise _problem(file, Mark(1, 1), said, "not valid YAML") from None
    if root is None:
        raise _problem(file, Mark(1, 1), "the file is empty", "`nerv init FOLDER` writes a commented one")
    reader = _Reader(file)
    tree = reader.node(root, 0)
    if reader.problems:
        raise ProblemsError(reader.problems)
    return tree


class _Reader:
    """Turns composed YAML into the tree and collects what Kubernetes would not accept."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.values = 0

    def node(self, node: Any, depth: int) -> Node:
        mark = Mark(node.start_mark.line + 1, node.start_mark.column + 1)
        self.values += 1
        if depth > _MAX_DEPTH or self.values > _MAX_VALUES:
            said = "nested too deeply" if depth > _MAX_DEPTH else "too many values"
            if not self.problems:
                self.report(mark, said, "an alias may contain itself")
            return Scalar(mark, None)
        if isinstance(node, ScalarNode):
            return Scalar(mark, self.scalar(node, mark))
        if isinstance(node, SequenceNode):
            return Sequence(mark, tuple(self.node(item, depth + 1) for item in node.value))
        assert isinstance(node, MappingNode)
        return Mapping(mark, tuple(self.entries(node, depth)))

    def entries(self, node: Any, depth: int) -> Iterator[Entry]:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in node.value:
            mark = Mark(key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, ScalarNode):
                self.report(mark, "a key must be plain text", "")
                continue
            text = str(key.value)
            child = self.node(value, depth + 1)
            if text == "<<" and key.style is None:
                for part in child.items if isinstance(child, Sequence) else (child,):
                    if isinstance(part, Mapping):
                        merged |= {entry.key: entry for entry in part.entries if entry.key not in merged}
                    else:
                        self.report(mark, "`<<` merges mappings only", "")
            elif text in own:
                self.report(mark, f"key `{text}` stands twice", f"first in line {own[text].mark.line}")
            else:
                self.check_text(text, mark)
                own[text] = Entry(text, mark, child)
        yield from (entry for key, entry in merged.items() if key not in own)
        yield from own.values()

    def scalar(self, node: Any, mark: Mark) -> str | int | float | bool | None:
        text = str(node.value)
        self.check_text(text, mark)
        if node.style is not None or str(node.tag) == "tag:yaml.org,2002:str":  # quoted, or plain text already
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        return text

    def check_text(self, text: str, mark: Mark) -> None:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.report(mark, "half of a surrogate pair is not text", "write the character itself")

    def report(self, mark: Mark, message: str, hint: str) -> None:
        self.problems.append(Problem(self.file, mark.line, mark.column, message, hint))


def plain(node: Node) -> Any:
    """The values alone, as JSON has them."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {entry.key: plain(entry.value) for entry in node.entries}


def mark_of(node: Node, path: Path) -> Mark:
    """Where `path` stands: its key or list item; for what is missing, its nearest parent."""
    mark = node.mark
    for step in path:
        found = _child(node, step)
        if found is None:
            return mark
        node = found.value if isinstance(found, Entry) else found
        mark = found.mark
    return mark


def without(node: Node, path: Path) -> Node:
    """The tree without what stands at `path`; unchanged where nothing stands there."""
    if not path:
        return Scalar(node.mark, None)
    first, rest = path[0], path[1:]
    found = _child(node, first)
    if found is None:
        return node
    if isinstance(node, Mapping) and isinstance(found, Entry):
        kept = () if not rest else (Entry(found.key, found.mark, without(found.value, rest)),)
        entries = tuple(new for old in node.entries for new in (kept if old is found else (old,)))
        return Mapping(node.mark, entries)
    assert isinstance(node, Sequence)
    assert isinstance(first, int)
    item = () if not rest else (without(node.items[first], rest),)
    return Sequence(node.mark, node.items[:first] + item + node.items[first + 1 :])


def with_value(node: Node, path: Path, value: Any) -> Node:
    """The tree with `value` (plain) added at `path`, whose parents are mappings; they are made where missing."""
    if not path:
        return _from_plain(value, node.mark)
    key = str(path[0])
    entries = node.entries if isinstance(node, Mapping) else ()
    found = next((entry for entry in entries if entry.key == key), None)
    below = found.value if found else Mapping(node.mark, ())
    new = Entry(key, found.mark if found else node.mark, with_value(below, path[1:], value))
    return Mapping(node.mark, (*(entry for entry in entries if entry is not found), new))


def _from_plain(value: Any, mark: Mark) -> Node:
    if isinstance(value, list):
        return Sequence(mark, tuple(_from_plain(item, mark) for item in value))
    if isinstance(value, dict):
        return Mapping(mark, tuple(Entry(key, mark, _from_plain(item, mark)) for key, item in value.items()))
    return Scalar(mark, value)


def _child(node: Node, step: str | int) -> Entry | Node | None:
    if isinstance(node, Mapping):
        return next((entry for entry in node.entries if entry.key == step), None)
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None


def _problem(file: str, mark: Mark, message: str, hint: str) -> ProblemsError:
    return ProblemsError([Problem(file, mark.line, mark.column, message, hint)])


def _mark_at(data: bytes, offset: int) -> Mark:
    before = data[:offset]
    return Mark(before.count(b"\n") + 1, offset - (before.rfind(b"\n") + 1) + 1)


def _said(context: str | None, problem: str | None) -> str:
    if context and problem and problem.startswith("but found"):
        return _first_line(f"{context}, {problem}")
    return _first_line(problem or context)


def _first_line(text: str | None) -> str:
    return (text or "not valid YAML").splitlines()[0]
