"""Arguments of functions written in Python: forced, and of the type that the function wants."""

from __future__ import annotations

from nerv.nix.values import Absent, EvaluationError, Partial, Set, force, kind


def text(value: object) -> str:
    """A string. Raises EvaluationError."""
    value = force(value)
    if isinstance(value, str):
        return value
    raise EvaluationError(f"a string is wanted, but {kind(value)} is given")


def integer(value: object) -> int:
    """An integer. Raises EvaluationError."""
    value = force(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise EvaluationError(f"an integer is wanted, but {kind(value)} is given")


def number(value: object) -> int | float:
    """A number. Raises EvaluationError."""
    value = force(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise EvaluationError(f"a number is wanted, but {kind(value)} is given")


def boolean(value: object) -> bool:
    """A boolean. Raises EvaluationError."""
    value = force(value)
    if isinstance(value, bool):
        return value
    raise EvaluationError(f"a boolean is wanted, but {kind(value)} is given")


def items(value: object) -> list[object]:
    """A list; its items may be thunks. Raises EvaluationError."""
    value = force(value)
    if isinstance(value, list):
        return value
    raise EvaluationError(f"a list is wanted, but {kind(value)} is given")


def attributes(value: object) -> Set:
    """A set; its values may be thunks. Raises EvaluationError."""
    value = force(value)
    if isinstance(value, Set):
        return value
    raise EvaluationError(f"a set is wanted, but {kind(value)} is given")


def texts(value: object) -> list[str]:
    """A list of strings. Raises EvaluationError."""
    return [text(item) for item in items(value)]


def member(values: Set, name: str) -> object:
    """A value of a set that must be there. Raises EvaluationError."""
    if name in values:
        return values[name]
    if isinstance(values, Partial):
        return values.missing(name)
    raise EvaluationError(f"attribute `{name}` is missing")


def has(values: Set, name: str) -> bool:
    """Whether a set has a name. Raises NotModelled where that is not known."""
    if name in values or not isinstance(values, Partial):
        return name in values
    try:
        values.missing(name)
    except Absent:
        return False
    return True
