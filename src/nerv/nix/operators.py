"""Operators: arithmetic, `//`, `++`, comparison."""

from __future__ import annotations

import operator
import posixpath
from collections.abc import Callable, Mapping
from typing import cast

from nerv.nix import coercion
from nerv.nix.values import (
    EvaluationError,
    Path,
    Place,
    Set,
    kind,
)

_LARGEST = 2**63 - 1


def arithmetic(sign: str, left: object, right: object, place: Place | None) -> object:
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise EvaluationError(f"`{sign}` wants numbers, but is given {kind(value)}", place)
    first, second = cast(float, left), cast(float, right)
    if sign == "/" and second == 0:
        raise EvaluationError("division by zero", place)
    if sign == "/" and isinstance(first, int) and isinstance(second, int):
        quotient = abs(first) // abs(second)
        return quotient if (first < 0) == (second < 0) else -quotient
    made = _NUMBERS[sign](first, second)
    if isinstance(made, int) and not -_LARGEST - 1 <= made <= _LARGEST:
        raise EvaluationError("an integer is too large", place)
    return made


_NUMBERS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def add(left: object, right: object) -> object:
    """`+`: of numbers, strings, or a path and what follows it."""
    if isinstance(left, str):
        return left + coercion.interpolated(right)
    if isinstance(left, Path):
        text = right.text if isinstance(right, Path) else coercion.interpolated(right)
        return Path(posixpath.normpath(left.text + text))
    if isinstance(left, Set):
        return coercion.interpolated(left) + coercion.interpolated(right)
    return arithmetic("+", left, right, None)


def _update(left: object, right: object) -> object:
    if not isinstance(left, Set) or not isinstance(right, Set):
        raise EvaluationError(f"`//` wants sets, but is given {kind(left if isinstance(right, Set) else right)}")
    if not right:
        return left
    return Set({**left, **right}, {**left.places, **right.places} if left.places or right.places else None)


def _concatenate(left: object, right: object) -> object:
    if not isinstance(left, list) or not isinstance(right, list):
        raise EvaluationError(f"`++` wants lists, but is given {kind(left if isinstance(right, list) else right)}")
    return left + right


OPERATORS: Mapping[str, Callable[[object, object], object]] = {
    "+": add,
    "//": _update,
    "++": _concatenate,
    "==": coercion.equal,
    "!=": lambda left, right: not coercion.equal(left, right),
    "<": coercion.less,
    ">": lambda left, right: coercion.less(right, left),
    "<=": lambda left, right: not coercion.less(right, left),
    ">=": lambda left, right: not coercion.less(left, right),
}
