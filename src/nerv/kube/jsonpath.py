"""JSONPath as CustomResourceDefinitions and `kubectl -o jsonpath` use it, without templates.

.status.conditions[?(@.type=="Ready")].status      .spec.ports[0].port      .metadata.annotations.example\\.com/x
['quoted name']    [*]    [1:3]    ..name
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

_NAME = re.compile(r"(?:\\.|[^.\[\\])+")
_BRACKET = re.compile(r"\[(?:'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"|(\*)|(-?\d*):(-?\d*)|(-?\d+))\]")
_FILTER = re.compile(r"\[\?\(\s*@((?:[^=!<>~\s)\\]|\\.)*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)\]")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Step = Callable[[Any], Iterator[Any]]


@dataclass(frozen=True)
class Path:
    """A compiled path."""

    steps: tuple[Step, ...]

    def find(self, value: Any) -> list[Any]:
        """All values at the path, in order. What is missing is left out."""
        found = [value]
        for step in self.steps:
            found = [item for parent in found for item in step(parent)]
        return found

    def first(self, value: Any) -> Any:
        """The first value at the path, or None."""
        found = self.find(value)
        return found[0] if found else None


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Compiles a path; braces around it are allowed. Raises ValueError."""
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].strip()
    rest = rest.removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = "." + rest
    steps: list[Step] = []
    while rest:
        step, rest = _step(rest, text)
        if step is not None:
            steps.append(step)
    return Path(tuple(steps))


def _step(rest: str, text: str) -> tuple[Step | None, str]:
    if match := _FILTER.match(rest):
        return _filter(match, text), rest[match.end() :]
    if match := _BRACKET.match(rest):
        return _bracket(match), rest[match.end() :]
    if rest.startswith(".."):
        match = _NAME.match(rest[2:])
        name = _plain(match[0]) if match else "*"
        return (lambda value: _descend(value, name)), rest[2 + (match.end() if match else 0) :]
    if rest.startswith("."):
        match = _NAME.match(rest[1:])
        if match is None:
            if rest[1:2] in ("", "["):
                return None, rest[1:]
            raise ValueError(f"unrecognized character in path {text!r}")
        return _field(_plain(match[0])), rest[1 + match.end() :]
    raise ValueError(f"unrecognized character in path {text!r}")


def _plain(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if name == "*":
            yield from _all(value)
        elif isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict) and name != "*" and name in value:
        yield value[name]
    for item in _all(value):
        if name == "*":
            yield item
        yield from _descend(item, name)


def _bracket(match: re.Match[str]) -> Step:
    name = match[1] if match[1] is not None else match[2]
    if name is not None:
        return _field(_plain(name))
    if match[3]:
        return _all
    if match[6] is not None:
        return lambda value: _at(value, int(match[6]))
    start, end = (int(part) if part else None for part in (match[4], match[5]))
    return lambda value: iter(value[start:end]) if isinstance(value, list) else iter(())


def _at(value: Any, index: int) -> Iterator[Any]:
    if isinstance(value, list) and -len(value) <= index < len(value):
        yield value[index]


def _filter(match: re.Match[str], text: str) -> Step:
    path = parse(match[1] or ".")
    compare, literal = match[2], match[3]
    if compare is None:
        return lambda value: (item for item in _all(value) if path.find(item))
    wanted = _literal(literal, text)

    def step(value: Any) -> Iterator[Any]:
        for item in _all(value):
            for found in path.find(item):
                try:
                    holds = _COMPARE[compare](found, wanted)
                except TypeError:
                    continue
                if holds:
                    yield item
                    break

    return step


def _literal(text: str, path: str) -> Any:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return _plain(text[1:-1])
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError(f"unrecognized value {text} in path {path!r}") from None


def show(value: Any) -> str:
    """A value as `kubectl -o jsonpath` prints it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return orjson.dumps(value).decode() if isinstance(value, (dict, list)) else str(value)
