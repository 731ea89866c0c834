"""Compiling (cached) and evaluating expressions.

A missing key, a wrong type or an index out of range is an error value in CEL; here it becomes a `CelError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cel_expr_python.cel import Env, Expression

_STATUS_CODE = re.compile(r"^(?:[A-Z_]+: )?(.*?)(?: \[[A-Z_]+\])?$", re.DOTALL)
_KEYWORDS = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)


_TYPES = frozenset({"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"})
"""Names of CEL's own types cannot be declared as variables: a Secret's field `type` is reached as `self.type` only."""


class CelError(ValueError):
    """An expression that cannot be compiled or evaluated; one line, without the library's status codes."""


def mentions(expression: str, name: str) -> bool:
    """Whether an expression uses a variable (strings may contain the name as well, which does no harm)."""
    return re.search(rf"\b{name}\b", expression) is not None


def check(expression: str, variables: tuple[str, ...] = ("self", "oldSelf")) -> None:
    """Raises CelError when the expression does not compile."""
    _compile(expression, variables, ())


def evaluate(expression: str, variables: Mapping[str, Any], optionals: Mapping[str, Any] | None = None) -> Any:
    """The plain value of an expression over JSON values. Raises CelError.

    `optionals` are variables of CEL's optional type: None stands for the empty one.
    """
    names = tuple(optionals or ())
    program = _compile(expression, tuple(variables), names)
    data = dict(variables) | {
        f"{name}_values": [] if (optionals or {})[name] is None else [(optionals or {})[name]] for name in names
    }
    if "__" in expression:
        data = {name: _escape(value) for name, value in data.items()}
    try:
        value = program.eval(data=data)
    except (RuntimeError, ValueError, TypeError) as error:
        raise CelError(_line(error)) from None
    from cel_expr_python.cel import Type

    if value.type() == Type.ERROR:
        raise CelError(_line(value.plain_value()))
    return value.plain_value()


def _line(error: object) -> str:
    match = _STATUS_CODE.match(str(error).strip())
    text = (match[1] if match else str(error)).splitlines()
    line = text[0] if text else "error"
    key = re.match(r"Key not found in map : (.*)", line)
    return f"no such key: {key[1].strip(chr(34))}" if key else line


@lru_cache(maxsize=2048)
def _compile(expression: str, variables: tuple[str, ...], optionals: tuple[str, ...]) -> Expression:
    for name in optionals:
        found = f"size({name}_values) == 1 ? optional.of({name}_values[0]) : optional.none()"
        expression = f"cel.bind({name}, {found}, {expression})"
    names = tuple(sorted({*variables, *(f"{name}_values" for name in optionals)} - _TYPES))
    try:
        return _environment(names).compile(expression)
    except (RuntimeError, ValueError) as error:
        raise CelError(f"compilation failed: {_line(error)}") from None


@lru_cache(maxsize=32)
def _environment(names: tuple[str, ...]) -> Env:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_math, ext_optional

    from nerv.kube.cel import functions

    return cel.NewEnv(
        variables=dict.fromkeys(names, cel.Type.DYN),
        extensions=[
            functions.extension(),
            ext_bindings.ExtBindings(),
            ext_math.ExtMath(),
            ext_optional.ExtOptional(),
        ],
    )


def _escape(value: Any) -> Any:
    """Field names as rules write them: `x-y` is `x__dash__y`, `namespace` is `__namespace__`."""
    if isinstance(value, dict):
        return {_escape_name(name): _escape(item) for name, item in value.items()} | value
    if isinstance(value, list):
        return [_escape(item) for item in value]
    return value


def _escape_name(name: str) -> str:
    if name in _KEYWORDS:
        return f"__{name}__"
    name = name.replace("__", "__underscores__")
    return name.replace("-", "__dash__").replace(".", "__dot__").replace("/", "__slash__")
