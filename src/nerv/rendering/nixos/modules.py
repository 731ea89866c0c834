"""How a file of the flake is written: options with comments, arguments, a heading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass

from nerv.nix import emit, expressions
from nerv.nix.expressions import (
    AttributeSet,
    Binding,
    Expression,
    Function,
    Let,
    Parameter,
    Path,
    Select,
    Template,
    Variable,
    With,
)
from nerv.rendering import headers

FOLDER = "nixos"
_ARGUMENTS = ("config", "inputs", "lib", "pkgs")


def option(path: str, value: object, comment: str = "") -> Binding:
    """`a.b.c = value;`"""
    return _joined(Binding(tuple(path.split(".")), expressions.lift(value), comment))


def inner(name: str, values: Mapping[str, object]) -> Binding:
    """`name = { ... };`, kept as a set however much is in it."""
    return Binding((name,), _written(expressions.attributes(values)))


def _joined(binding: Binding) -> Binding:
    """`a.b = 1;` instead of `a = { b = 1; };`, as people write it."""
    value = _written(binding.value)
    if isinstance(value, AttributeSet) and len(value.bindings) == 1 and not value.recursive:
        inner = value.bindings[0]
        if isinstance(inner, Binding) and not inner.comment:
            return Binding((*binding.names, *inner.names), inner.value, binding.comment)
    return Binding(binding.names, value, binding.comment)


def _written(value: Expression) -> Expression:
    if isinstance(value, tuple):
        return tuple(_written(item) for item in value)
    if isinstance(value, AttributeSet):
        joined = (_joined(item) if isinstance(item, Binding) else item for item in value.bindings)
        return AttributeSet(tuple(joined), value.recursive)
    return value


def file(heading: str, expression: Expression) -> str:
    """A file of the flake: who wrote it, what it is for, what it says."""
    return headers.GENERATED + f"# {heading}\n" + emit.text(expression)


def module(heading: str, options: Iterable[Binding], named: Mapping[str, Expression] | None = None) -> str:
    """A NixOS module. It takes the arguments that are used in it; `named` are values of its own (`let`)."""
    body: Expression = AttributeSet(tuple(options))
    if named:
        body = Let(tuple(Binding((name,), value) for name, value in named.items()), body)
    used = set(_variables(body))
    parameters = tuple(Parameter(name) for name in _ARGUMENTS if name in used)
    return file(heading, Function(body, None, parameters, open=True) if parameters else body)


def _variables(value: object) -> Iterator[str]:
    if isinstance(value, Variable):
        yield value.name
    elif isinstance(value, tuple):
        for item in value:
            yield from _variables(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _variables(getattr(value, field.name))


def imports(paths: Iterable[str]) -> Binding:
    """`imports = [ ... ];`"""
    return Binding(("imports",), tuple(Path(path) for path in paths))


def packages(names: Iterable[str]) -> Expression:
    """`with pkgs; [ ... ]`"""
    return With(Variable("pkgs"), tuple(Variable(name) for name in names))


def written(name: str, text: Expression) -> Expression:
    """A file in the store with this text."""
    return expressions.call(expressions.name("pkgs.writeText"), name, text)


def json(value: object) -> Expression:
    """The text of a JSON document, written down as a set of Nix."""
    return expressions.call(expressions.name("builtins.toJSON"), expressions.lift(value))


def flag(name: str, value: Expression) -> Expression:
    """`--name=value` for a command line of systemd: a value with spaces is quoted there as well."""
    if not isinstance(value, str):
        return Template((f"--{name}=", value))
    return f'"--{name}={value}"' if " " in value else f"--{name}={value}"


def lines(text: str) -> Expression:
    """Text of several lines."""
    return Template((text,), indented=True)


def secret(name: str) -> Expression:
    """Where sops-nix puts a secret on the machine."""
    return Select(Variable("config"), ("sops", "secrets", name, "path"))
