"""Rules about values: to text, equality, order, JSON, and how a value is shown in a message."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from typing import cast

from nerv import documents
from nerv.nix.values import (
    Builtin,
    Closure,
    EvaluationError,
    NotModelled,
    Partial,
    Path,
    Set,
    Thunk,
    apply,
    force,
    is_package,
    kind,
)

ROOT = "/nix/store/00000000000000000000000000000000-source"
"""Where Nix's copy of the repository stands; its hash is not known before Nix makes it."""
_SHOWN_ITEMS = 5
_SHOWN_LENGTH = 60


def interpolated(value: object) -> str:
    """The text of a value in `${...}` or beside a string in `+`: strings, paths (copied to the store), packages."""
    value = force(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Path):
        return in_store(value)
    if isinstance(value, Set):
        return _of_set(value)
    raise EvaluationError(f"{kind(value)} cannot be made part of a string")


def to_text(value: object) -> str:
    """builtins.toString"""
    value = force(value)
    if isinstance(value, bool):
        return "1" if value else ""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, Path):
        return value.text
    if isinstance(value, list):
        return " ".join(to_text(item) for item in value if force(item) != [])
    return interpolated(value)


def _of_set(value: Set) -> str:
    if "__toString" in value:
        return interpolated(apply(value["__toString"], value))
    if "outPath" in value:
        return interpolated(value["outPath"])
    if isinstance(value, Partial):
        raise NotModelled("a text of something that is known in part")
    raise EvaluationError("a set cannot be made part of a string")


def in_store(path: Path) -> str:
    """The store path that a path of the repository gets when it is copied on its own."""
    if path.text != ROOT and not path.text.startswith(f"{ROOT}/"):
        raise EvaluationError(f"{path.text} stands outside the repository: a flake cannot read it")
    return store_path(posixpath.basename(path.text), path.text)


def store_path(name: str, content: str) -> str:
    """A store path in the form of Nix's; the hash tells contents apart and is not the one that Nix computes."""
    digest = hashlib.sha256(f"{name}\0{content}".encode()).hexdigest()[:32]
    return f"/nix/store/{digest.replace('e', 'g')}-{name}"


def equal(left: object, right: object) -> bool:
    """`==`"""
    left, right = force(left), force(right)
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        other = cast("list[object]", right)
        return len(left) == len(other) and all(map(equal, left, other))
    if isinstance(left, Set):
        return _equal_sets(left, cast(Set, right))
    if isinstance(left, (Closure, Builtin)):
        return False
    return left == right


def _equal_sets(left: Set, right: Set) -> bool:
    if left is right:
        return True
    if is_package(left) and is_package(right) and "outPath" in left and "outPath" in right:
        return equal(left["outPath"], right["outPath"])
    return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)


def less(left: object, right: object) -> bool:
    """`<`"""
    left, right = force(left), force(right)
    if _number(left) and _number(right):
        return cast(float, left) < cast(float, right)
    if isinstance(left, str) and isinstance(right, str):
        return left.encode() < right.encode()
    if isinstance(left, Path) and isinstance(right, Path):
        return left.text < right.text
    if isinstance(left, list) and isinstance(right, list):
        for mine, other in zip(left, right, strict=False):
            if not equal(mine, other):
                return less(mine, other)
        return len(left) < len(right)
    raise EvaluationError(f"{kind(left)} cannot be compared with {kind(right)}")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plain(value: object) -> object:
    """A value as JSON would hold it, in Python's types; computes all of it. Raises EvaluationError for functions."""
    value = force(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return in_store(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Set):
        if "__toString" in value or "outPath" in value:
            return _of_set(value)
        return {name: plain(value[name]) for name in sorted(value)}
    raise EvaluationError(f"{kind(value)} cannot be written as JSON")


def to_json(value: object) -> str:
    """builtins.toJSON"""
    return documents.dump_json(plain(value)).decode()


def from_plain(value: object) -> object:
    """A value of Nix from what a JSON or TOML file holds."""
    if isinstance(value, dict):
        return Set({str(name): from_plain(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise NotModelled(f"{type(value).__name__} has no value in Nix")


def show(value: object) -> str:
    """A value in a message, short; what is not computed yet stays `...`."""
    shown = _show(value, 0)
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[: _SHOWN_LENGTH - 3]}..."


def _show(value: object, depth: int) -> str:
    if type(value) is Thunk:
        try:
            value = force(value)
        except EvaluationError:
            return "..."
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return documents.dump_json(value).decode()
    if isinstance(value, Path):
        return value.text.removeprefix(f"{ROOT}/")
    if isinstance(value, list):
        return _listed("[", (_show(item, depth + 1) for item in value[:_SHOWN_ITEMS]), len(value), "]")
    if isinstance(value, Set):
        if is_package(value):
            return f"<package {_show(value.get('name', '?'), depth + 1)}>".replace('"', "")
        # names alone: what stands under them may be secret, and is long
        return _listed("{", list(value)[:_SHOWN_ITEMS], len(value), "}")
    return "<function>" if isinstance(value, (Closure, Builtin)) else str(value)


def _listed(begin: str, items: Iterable[str], count: int, end: str) -> str:
    return " ".join([begin, *items, *(["..."] if count > _SHOWN_ITEMS else []), end])
