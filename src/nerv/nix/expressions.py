"""Nix expressions as frozen values: what `emit` writes and `parse` reads.

Python's own values stand for themselves: None, bool, int, float, str (a plain string without interpolation), tuple (a
list). Everything else is one of the classes here. Names and shapes follow the Nix manual's chapter on the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, Union

Expression: TypeAlias = Union[
    bool,
    int,
    float,
    str,
    tuple["Expression", ...],
    "Template",
    "Path",
    "Variable",
    "Select",
    "HasAttribute",
    "Apply",
    "Function",
    "AttributeSet",
    "Let",
    "With",
    "If",
    "Assert",
    "Unary",
    "Binary",
    None,
]


@dataclass(frozen=True)
class Template:
    """A string with interpolation: texts and expressions in turn. `indented`: written between two single quotes."""

    parts: tuple[Expression, ...]
    """A str is text as it is, everything else stands in `${...}`."""
    indented: bool = False


@dataclass(frozen=True)
class Path:
    """A path literal, such as ./modules/base.nix."""

    text: str


@dataclass(frozen=True)
class Variable:
    """A name."""

    name: str


@dataclass(frozen=True)
class Select:
    """`subject.a.b`, with `or default` where one is given. A name may be any string: it is quoted where it must be."""

    subject: Expression
    names: tuple[str | Template, ...]
    default: tuple[Expression] | None = None
    """A tuple of one, so that null can be a default."""


@dataclass(frozen=True)
class HasAttribute:
    """`subject ? a.b`"""

    subject: Expression
    names: tuple[str | Template, ...]


@dataclass(frozen=True)
class Apply:
    """`function argument`"""

    function: Expression
    argument: Expression


@dataclass(frozen=True)
class Parameter:
    """One name of a function's set of arguments."""

    name: str
    default: tuple[Expression] | None = None


@dataclass(frozen=True)
class Function:
    """`name: body`, or `{ a, b ? 1, ... }@name: body`."""

    body: Expression
    name: str | None = None
    parameters: tuple[Parameter, ...] | None = None
    """None: the argument is not taken apart."""
    open: bool = False
    """Ends in `...`."""


@dataclass(frozen=True)
class Binding:
    """`a.b = value;`"""

    names: tuple[str | Template, ...]
    value: Expression
    comment: str = ""
    """Lines written above it; no part of the meaning, so it does not come back from `parse`."""


@dataclass(frozen=True)
class Inherit:
    """`inherit a b;` or `inherit (source) a b;`"""

    names: tuple[str, ...]
    source: tuple[Expression] | None = None


@dataclass(frozen=True)
class AttributeSet:
    """`{ ... }` or `rec { ... }`"""

    bindings: tuple[Binding | Inherit, ...] = ()
    recursive: bool = False


@dataclass(frozen=True)
class Let:
    """`let ... in body`"""

    bindings: tuple[Binding | Inherit, ...]
    body: Expression


@dataclass(frozen=True)
class With:
    """`with scope; body`"""

    scope: Expression
    body: Expression


@dataclass(frozen=True)
class If:
    """`if condition then yes else no`"""

    condition: Expression
    yes: Expression
    no: Expression


@dataclass(frozen=True)
class Assert:
    """`assert condition; body`"""

    condition: Expression
    body: Expression


@dataclass(frozen=True)
class Unary:
    """`!x` or `-x`"""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """`left operator right`, with an operator of the language: ++ // + - * / == != < <= > >= && || ->"""

    operator: str
    left: Expression
    right: Expression


def call(function: Expression, *arguments: Expression) -> Expression:
    """`function a b c`"""
    for argument in arguments:
        function = Apply(function, argument)
    return function


def name(path: str) -> Expression:
    """`config.networking.hostName` from a dotted path of plain names."""
    first, *rest = path.split(".")
    return Select(Variable(first), tuple(rest)) if rest else Variable(first)


def attributes(values: Mapping[str, object]) -> AttributeSet:
    """A set from Python values: mappings become sets, lists lists; a key stands for one name, dots included."""
    return AttributeSet(tuple(Binding((key,), lift(value)) for key, value in values.items()))


def lift(value: object) -> Expression:
    """A Python value as an expression; expressions stay as they are. Raises TypeError for what is no value of Nix."""
    if isinstance(value, Mapping):
        return attributes(value)
    if isinstance(value, (list, tuple)):
        return tuple(lift(item) for item in value)
    if value is None or isinstance(value, (bool, int, float, str, *_CLASSES)):
        return value
    raise TypeError(f"{type(value).__name__} is no value of Nix")


_CLASSES = (
    Template,
    Path,
    Variable,
    Select,
    HasAttribute,
    Apply,
    Function,
    AttributeSet,
    Let,
    With,
    If,
    Assert,
    Unary,
    Binary,
)
