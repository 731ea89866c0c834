"""Nodes added to and taken out of the text of nerv.yaml, and single values set, so that every other byte stays.

A layout that is not known here is refused with what to write by hand; every edit is checked by reading the result back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nerv.errors import NervError
from nerv.platform import source
from nerv.platform.source import Node, Sequence

_FILE = "nerv.yaml"
_SCALAR = re.compile(r""""[^"]*"|'[^']*'|[^\s#,}\]]+""")


def add_node(text: str, entry: Mapping[str, Any]) -> str:
    """With one more node at the end of spec.nodes. `entry` holds texts and lists of mappings of texts."""
    tree = source.read(_FILE, text.encode())
    nodes = _nodes(tree)
    lines = text.splitlines(keepends=True)
    indent = _dash(lines, nodes, -1)
    made = [f"{indent}{line}\n" for line in _block(entry)]
    last = _last_line(nodes.items[-1])
    if not lines[last - 1].endswith("\n"):
        lines[last - 1] += "\n"
    changed = "".join([*lines[:last], *made, *lines[last:]])
    expected = [*source.plain(nodes), dict(entry)]
    _check(changed, expected, f"add the node to spec.nodes by hand:\n{''.join(made)}")
    return changed


def remove_node(text: str, name: str) -> str:
    """Without the node of that name. Raises NervError where there is none."""
    tree = source.read(_FILE, text.encode())
    nodes = _nodes(tree)
    plain = source.plain(nodes)
    position = next((index for index, node in enumerate(plain) if node.get("name") == name), None)
    if position is None:
        raise NervError(f"the definition has no node {name}")
    lines = text.splitlines(keepends=True)
    _dash(lines, nodes, position)
    first, last = nodes.items[position].mark.line, _last_line(nodes.items[position])
    changed = "".join([*lines[: first - 1], *lines[last:]])
    _check(changed, plain[:position] + plain[position + 1 :], f"take {name} out of spec.nodes by hand")
    return changed


def set_value(text: str, path: tuple[str, ...], value: str) -> str:
    """With spec.<path> set to a text: ("kubernetes", "version"). What leads there is made where it is plain how."""
    tree = source.read(_FILE, text.encode())
    lines = text.splitlines(keepends=True)
    unknown = NervError(
        f"{_FILE} is laid out in a way that is not changed here", f"set spec.{'.'.join(path)} to {value} by hand"
    )
    found = _at(tree, ("spec", *path))
    parent = _at(tree, ("spec", *path[:-1]))
    if found is not None:
        place = source.mark_of(tree, ("spec", *path))
        line = lines[place.line - 1]
        scalar = _SCALAR.search(line, line.index(":", place.column - 1 + len(path[-1])) + 1)
        if not scalar:
            raise unknown
        lines[place.line - 1] = f"{line[: scalar.start()]}{_quoted(value)}{line[scalar.end() :]}"
    elif isinstance(parent, source.Mapping):
        _put_below(lines, source.mark_of(tree, ("spec", *path[:-1])), parent, f"{path[-1]}: {_quoted(value)}", unknown)
    elif len(path) == 2:
        before = source.mark_of(tree, ("spec", "repository"))
        indent = " " * (before.column - 1)
        lines[before.line - 1 : before.line - 1] = [f"{indent}{path[0]}:\n", f"{indent}  {path[1]}: {_quoted(value)}\n"]
    else:
        raise unknown
    changed = "".join(lines)
    read = _at(source.read(_FILE, changed.encode()), ("spec", *path))
    if not isinstance(read, source.Scalar) or read.value != value:
        raise unknown
    return changed


def _put_below(lines: list[str], key: source.Mark, parent: source.Mapping, made: str, unknown: NervError) -> None:
    """One line more in a mapping: above its first entry, or in place of `{}`."""
    if parent.entries and parent.entries[0].mark.line > key.line:
        first = parent.entries[0].mark
        lines.insert(first.line - 1, f"{' ' * (first.column - 1)}{made}\n")
        return
    line = lines[key.line - 1]
    empty = re.search(r":\s*\{\s*\}", line)
    if parent.entries or not empty:
        raise unknown
    rest = line[empty.end() :].rstrip("\n")
    lines[key.line - 1] = f"{line[: empty.start()]}:{rest}\n"
    lines.insert(key.line, f"{' ' * (key.column + 1)}{made}\n")


def _at(node: Node, path: tuple[str, ...]) -> Node | None:
    found: Node | None = node
    for step in path:
        found = _entry(found, step) if found is not None else None
    return found


def _quoted(value: str) -> str:
    return f'"{value}"' if re.fullmatch(r"[0-9]+([.][0-9]+)?", value) else value


def _spec(tree: Node) -> Node:
    found = _entry(tree, "spec")
    if found is None:
        raise NervError(f"{_FILE} has no spec", "`nerv check` says more")
    return found


def _entry(node: Node, key: str) -> Node | None:
    entries = node.entries if isinstance(node, source.Mapping) else ()
    return next((entry.value for entry in entries if entry.key == key), None)


def _nodes(tree: Node) -> Sequence:
    found = _entry(_spec(tree), "nodes")
    if not isinstance(found, Sequence) or not found.items:
        raise NervError(f"{_FILE} has no spec.nodes", "`nerv check` says more")
    return found


def _dash(lines: list[str], nodes: Sequence, position: int) -> str:
    """The blanks before an item's dash. Raises NervError where the list is not one item below the other."""
    mark = nodes.items[position].mark
    before = lines[mark.line - 1][: mark.column - 1]
    if before.strip() != "-":
        raise NervError(f"spec.nodes of {_FILE} is laid out in a way that is not changed here", "edit it by hand")
    return before[: before.index("-")]


def _last_line(node: Node) -> int:
    if isinstance(node, source.Mapping):
        return max([node.mark.line, *(_last_line(entry.value) for entry in node.entries)])
    if isinstance(node, Sequence):
        return max([node.mark.line, *(_last_line(item) for item in node.items)])
    return node.mark.line


def _block(entry: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in entry.items():
        if isinstance(value, list):
            lines.append(f"{key}:")
            for item in value:
                pairs = [f"{name}: {text}" for name, text in item.items()]
                lines += [f"  {'- ' if not index else '  '}{pair}" for index, pair in enumerate(pairs)]
        else:
            lines.append(f"{key}: {value}")
    return [f"{'- ' if not index else '  '}{line}" for index, line in enumerate(lines)]


def _check(changed: str, expected: list[Any], remedy: str) -> None:
    if source.plain(_nodes(source.read(_FILE, changed.encode()))) != expected:
        raise NervError(f"spec.nodes of {_FILE} is laid out in a way that is not changed here", remedy)
