"""Option types: which values fit, and their names.

A type is a list as the table holds it (JSON): a name and what belongs to it, such as ["listOf", ["str"]],
["enum", ["a", "b"]], ["sub", options, freeform] or, for submodules that a module declares, ["module", modules].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nerv.nix import coercion, patterns
from nerv.nix.values import Path, Set, force, is_function, is_package

Type: TypeAlias = list[Any]


def string_like(value: object) -> bool:
    """Whether Nix would make a text of it."""
    return isinstance(value, (str, Path)) or (isinstance(value, Set) and ("outPath" in value or "__toString" in value))


def fits(wanted: Type, value: object) -> bool:
    """Whether a value is of a type, as far as can be told without looking into lists and sets."""
    test = _FITS.get(wanted[0])
    return True if test is None else test(wanted, force(value))


def fits_deeply(wanted: Type, value: object) -> bool:
    """Whether a value and all that is in it is of a type."""
    value = force(value)
    if not fits(wanted, value):
        return False
    if wanted[0] == "listOf":
        assert isinstance(value, list)
        return all(fits_deeply(wanted[1], item) for item in value)
    if wanted[0] == "attrsOf":
        assert isinstance(value, Set)
        return all(fits_deeply(wanted[1], item) for item in value.values())
    if wanted[0] == "nullOr":
        return value is None or fits_deeply(wanted[1], value)
    if wanted[0] == "oneOf":
        return any(fits_deeply(inner, value) for inner in wanted[1:])
    return True


def name(wanted: Type) -> str:
    """A type in words."""
    head, *rest = wanted
    if head == "nullOr":
        return f"null or {name(rest[0])}"
    if head in ("listOf", "attrsOf"):
        return f"{_NAMES[head]} {name(rest[0])}"
    if head == "enum":
        return "one of " + ", ".join(coercion.show(coercion.from_plain(value)) for value in rest[0])
    if head == "oneOf":
        return " or ".join(name(inner) for inner in rest)
    if head == "intBetween":
        return f"integer between {rest[0]} and {rest[1]}"
    if head == "strMatching":
        return f"string that matches {coercion.show(rest[0])}"
    return _NAMES.get(head, str(head))


def _integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _path(_wanted: Type, value: object) -> bool:
    return string_like(value) and coercion.to_text(value).startswith("/")


def _package(_wanted: Type, value: object) -> bool:
    return is_package(value) or (string_like(value) and coercion.to_text(value).startswith("/nix/store/"))


def _json(_wanted: Type, value: object) -> bool:
    if isinstance(value, list):
        return all(_json(_wanted, force(item)) for item in value)
    if isinstance(value, Set) and not string_like(value):
        return all(_json(_wanted, force(item)) for item in value.values())
    return not is_function(value)


def _plain_set(_wanted: Type, value: object) -> bool:
    return isinstance(value, Set) and not is_package(value)


def _matches(pattern: str, value: object) -> bool:
    return isinstance(value, str) and patterns.compiled(pattern).fullmatch(value) is not None


_FITS: dict[str, Callable[[Type, object], bool]] = {
    "bool": lambda _t, v: isinstance(v, bool),
    "int": lambda _t, v: _integer(v),
    "unsigned": lambda _t, v: _integer(v) and v >= 0,  # type: ignore[operator]
    "positive": lambda _t, v: _integer(v) and v > 0,  # type: ignore[operator]
    "intBetween": lambda t, v: _integer(v) and t[1] <= v <= t[2],
    "float": lambda _t, v: _number(v),
    "numPositive": lambda _t, v: _number(v) and v > 0,  # type: ignore[operator]
    "numNonnegative": lambda _t, v: _number(v) and v >= 0,  # type: ignore[operator]
    "str": lambda _t, v: isinstance(v, str),
    "lines": lambda _t, v: isinstance(v, str),
    "separated": lambda _t, v: isinstance(v, str),
    "nonEmptyStr": lambda _t, v: isinstance(v, str) and bool(v.strip()),
    "singleLineStr": lambda _t, v: isinstance(v, str) and "\n" not in v.removesuffix("\n"),
    "strMatching": lambda t, v: _matches(t[1], v),
    "path": _path,
    "package": _package,
    "enum": lambda t, v: any(coercion.equal(coercion.from_plain(x), v) for x in t[1]),
    "null": lambda _t, v: v is None,
    "nullOr": lambda t, v: v is None or fits(t[1], v),
    "listOf": lambda _t, v: isinstance(v, list),
    "attrsOf": _plain_set,
    "attrs": _plain_set,
    "sub": lambda t, v: _plain_set(t, v) or is_function(v),
    "module": lambda t, v: _plain_set(t, v) or is_function(v) or isinstance(v, Path),
    "oneOf": lambda t, v: any(fits(inner, v) for inner in t[1:]),
    "systemdOption": lambda _t, v: v is None or isinstance(v, (bool, int, float, list)) or string_like(v),
    "json": _json,
    "function": lambda _t, v: is_function(v),
}
_NAMES = {
    "bool": "boolean",
    "int": "integer",
    "unsigned": "integer of 0 or more",
    "positive": "integer above 0",
    "str": "string",
    "lines": "string",
    "separated": "string",
    "nonEmptyStr": "string that is not empty",
    "singleLineStr": "string of one line",
    "listOf": "list of",
    "attrsOf": "set of",
    "attrs": "set",
    "sub": "submodule",
    "module": "submodule",
    "systemdOption": "systemd option",
}
