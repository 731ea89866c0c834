"""Data from and to other formats, types, numbers, errors; and what is never run offline."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable

from nerv import documents
from nerv.nix import coercion
from nerv.nix.arguments import attributes, integer, member, number, text
from nerv.nix.values import (
    Builtin,
    Closure,
    EvaluationError,
    NotModelled,
    Path,
    Set,
    force,
    kind,
)


def from_json(value: object) -> object:
    try:
        return coercion.from_plain(documents.load_json(text(value)))
    except documents.DocumentError as error:
        raise EvaluationError(f"not valid JSON: {error.message}") from None


def from_toml(value: object) -> object:
    try:
        return coercion.from_plain(tomllib.loads(text(value)))
    except tomllib.TOMLDecodeError as error:
        raise EvaluationError(f"not valid TOML: {error}") from None


def to_file(name: object, value: object) -> object:
    return coercion.store_path(text(name), text(value))


def derivation(arguments: object) -> object:
    given = attributes(arguments)
    name = text(member(given, "name"))
    path = coercion.store_path(name, "derivation")
    outputs = {"type": "derivation", "outPath": path, "drvPath": f"{path}.drv", "outputName": "out"}
    return Set({**given, **outputs})


def seq(first: object, second: object) -> object:
    force(first)
    return force(second)


def deep_seq(first: object, second: object) -> object:
    force_all(first)
    return force(second)


def force_all(value: object) -> None:
    """Compute all of a value but what functions and packages hold."""
    value = force(value)
    if isinstance(value, list):
        for item in value:
            force_all(item)
    elif isinstance(value, Set) and "outPath" not in value:
        for item in value.values():
            force_all(item)


def throw(message: object) -> object:
    raise Thrown(coercion.interpolated(message))


class Thrown(EvaluationError):
    """What `throw` raises, and `tryEval` catches."""


def try_eval(value: object) -> object:
    try:
        return Set({"success": True, "value": force(value)})
    except NotModelled:
        raise
    except EvaluationError as error:
        if not isinstance(error, Thrown) and "assertion" not in error.message:
            raise
        return Set({"success": False, "value": False})


def trace(_message: object, value: object) -> object:
    return force(value)


def type_of(value: object) -> object:
    value = force(value)
    words = kind(value).rpartition(" ")[2]
    short = {"boolean": "bool", "integer": "int", "function": "lambda"}
    return short.get(words, words)


def _refused(what: str) -> Callable[[object], object]:
    def refused(_arguments: object) -> object:
        raise NotModelled(f"builtins.{what} is not run offline")

    return refused


def _is(*types: type) -> Callable[[object], object]:
    def test(value: object) -> object:
        value = force(value)
        return isinstance(value, types) and (bool in types or not isinstance(value, bool))

    return test


def _divided(left: int | float, right: int | float) -> object:
    if right == 0:
        raise EvaluationError("division by zero")
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


FUNCTIONS: dict[str, Callable[..., object]] = {
    "abort": throw,
    "add": lambda a, b: number(a) + number(b),
    "bitAnd": lambda a, b: integer(a) & integer(b),
    "bitOr": lambda a, b: integer(a) | integer(b),
    "bitXor": lambda a, b: integer(a) ^ integer(b),
    "ceil": lambda a: math.ceil(number(a)),
    "deepSeq": deep_seq,
    "derivation": derivation,
    "derivationStrict": derivation,
    "div": lambda a, b: _divided(number(a), number(b)),
    "fetchClosure": _refused("fetchClosure"),
    "fetchGit": _refused("fetchGit"),
    "fetchTarball": _refused("fetchTarball"),
    "fetchTree": _refused("fetchTree"),
    "fetchurl": _refused("fetchurl"),
    "floor": lambda a: math.floor(number(a)),
    "fromJSON": from_json,
    "fromTOML": from_toml,
    "getEnv": lambda _name: "",
    "getFlake": _refused("getFlake"),
    "isAttrs": _is(Set),
    "isBool": _is(bool),
    "isFloat": _is(float),
    "isFunction": _is(Closure, Builtin),
    "isInt": _is(int),
    "isList": _is(list),
    "isNull": lambda value: force(value) is None,
    "isPath": _is(Path),
    "isString": _is(str),
    "lessThan": coercion.less,
    "mul": lambda a, b: number(a) * number(b),
    "seq": seq,
    "sub": lambda a, b: number(a) - number(b),
    "throw": throw,
    "toFile": to_file,
    "toJSON": coercion.to_json,
    "trace": trace,
    "traceVerbose": trace,
    "tryEval": try_eval,
    "typeOf": type_of,
    "warn": trace,
}
