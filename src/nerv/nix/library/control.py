"""Conditions, fixed points, assertions."""

from __future__ import annotations

from collections.abc import Callable

from nerv.nix.arguments import boolean, integer, items, text
from nerv.nix.values import (
    Builtin,
    EvaluationError,
    NotModelled,
    Path,
    Set,
    apply,
    force,
    is_function,
    is_package,
    later,
)


def _pipe(value: object, functions: object) -> object:
    made = value
    for called in items(functions):
        made = apply(called, made)
    return force(made)


def _fix(called: object) -> object:
    made: list[object] = []
    made.append(later(lambda: apply(called, made[0])))
    return force(made[0])


def _assert_message(holds: object, message: object) -> object:
    if not boolean(holds):
        raise EvaluationError(text(message))
    return True


def _throw_if(failing: object, message: object, value: object) -> object:
    if boolean(failing):
        raise EvaluationError(text(message))
    return force(value)


def _second(_first: object, value: object) -> object:
    return force(value)


def _third(_first: object, _second: object, value: object) -> object:
    return force(value)


def _when(empty: Callable[[], object]) -> Callable[[object, object], object]:
    def chosen(condition: object, value: object) -> object:
        return force(value) if boolean(condition) else empty()

    return chosen


def _make_overridable(_called: object, _arguments: object) -> object:
    raise NotModelled("overridable functions are not evaluated offline")


FUNCTIONS: dict[str, Callable[..., object]] = {
    "assertMsg": _assert_message,
    "const": lambda value, _other: force(value),
    "fix": _fix,
    "flip": lambda called, a, b: apply(called, b, a),
    "id": force,
    "info": _second,
    "isDerivation": lambda value: is_package(force(value)),
    "isStringLike": lambda value: isinstance(force(value), (str, Path)) or is_package(force(value)),
    "makeOverridable": _make_overridable,
    "max": lambda a, b: max(integer(a), integer(b)),
    "min": lambda a, b: min(integer(a), integer(b)),
    "mod": lambda a, b: integer(a) % integer(b),
    "optionalAttrs": _when(Set),
    "optionalString": _when(str),
    "optionals": _when(list),
    "pipe": _pipe,
    "setFunctionArgs": lambda called, _arguments: force(called),
    "throwIf": _throw_if,
    "throwIfNot": lambda holds, message, value: _throw_if(not boolean(holds), message, value),
    "toFunction": lambda v: force(v) if is_function(force(v)) else Builtin("const", 1, lambda _: force(v)),
    "warn": _second,
    "warnIf": _third,
    "warnIfNot": _third,
}
