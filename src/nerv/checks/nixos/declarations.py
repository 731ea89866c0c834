"""What modules declare options with: `lib.mkOption` and its kin, and `lib.types`."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from nerv.checks.nixos.options import TYPE, type_of
from nerv.checks.nixos.types import Type
from nerv.nix import coercion
from nerv.nix.arguments import attributes, items, text
from nerv.nix.functions import function
from nerv.nix.values import Partial, Set, force


def _option(given: object) -> object:
    values = attributes(given)
    return Set({**values, "_type": "option"}, values.places)


def _enable(described: object) -> object:
    return Set({"_type": "option", "type": _type(["bool"]), "default": False, "description": described})


def _package(_packages: object, name: object, given: object) -> object:
    values = attributes(given)
    default = (
        {} if force(values.get("default", True)) is None else {"default": coercion.store_path("package", str(name))}
    )
    return Set({"_type": "option", "type": _type(["package"]), **default})


def _type(described: Type) -> Set:
    return Set({"_type": "option-type", "name": described[0], TYPE: described})


ANY = _type(["any"])
"""The type that takes any value."""


class _Types(Partial):
    """The set `lib.types`; a type that is not known here takes any value."""

    __slots__ = ()

    @override
    def missing(self, name: str) -> object:
        return ANY


def _of(head: str) -> object:
    return function(head, lambda inner: _type([head, type_of(inner)]))


def _one_of(types: object) -> object:
    return _type(["oneOf", *(type_of(inner) for inner in items(types))])


def _either(left: object, right: object) -> object:
    return _type(["oneOf", type_of(left), type_of(right)])


def _coerced(_source: object, _how: object, _to: object) -> object:
    return _type(["any"])


def _submodule(module: object) -> object:
    found = force(module)
    return _type(["module", found if isinstance(found, list) else [found]])


def _submodule_with(given: object) -> object:
    return _type(["module", items(attributes(given)["modules"])])


def _between(low: object, high: object) -> object:
    return _type(["intBetween", force(low), force(high)])


_NAMES = (
    *("bool", "str", "int", "float", "path", "package", "lines", "attrs", "nonEmptyStr", "singleLineStr"),
    *("anything", "raw", "unspecified"),
)
_LIKE = {"anything": "any", "raw": "any", "unspecified": "any"}


def _types() -> _Types:
    made = _Types({name: _type([_LIKE.get(name, name)]) for name in _NAMES})
    functions: dict[str, Callable[..., object]] = {
        "enum": lambda values: _type(["enum", [coercion.plain(value) for value in items(values)]]),
        "strMatching": lambda pattern: _type(["strMatching", text(pattern)]),
        "separatedString": lambda separator: _type(["separated", text(separator)]),
        "oneOf": _one_of,
        "either": _either,
        "coercedTo": _coerced,
        "submodule": _submodule,
        "submoduleWith": _submodule_with,
        "addCheck": lambda inner, _check: force(inner),
        "uniq": force,
        "unique": lambda _message, inner: force(inner),
        "functionTo": lambda _inner: _type(["function"]),
    }
    made |= {name: function(name, python) for name, python in functions.items()}
    made |= {name: _of(name) for name in ("nullOr", "listOf", "attrsOf")}
    made |= {
        "lazyAttrsOf": made["attrsOf"],
        "nonEmptyListOf": made["listOf"],
        "commas": _type(["separated", ","]),
        "envVar": _type(["separated", ":"]),
        "port": _type(["intBetween", 0, 65535]),
        "number": _type(["float"]),
        "bool'": _type(["bool"]),
        "ints": Set(
            {
                "positive": _type(["positive"]),
                "unsigned": _type(["unsigned"]),
                "between": function("between", _between),
                **{f"u{bits}": _type(["intBetween", 0, 2**bits - 1]) for bits in (8, 16, 32)},
                **{f"s{bits}": _type(["intBetween", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1]) for bits in (8, 16, 32)},
            }
        ),
    }
    return made


FUNCTIONS: dict[str, object] = {
    "mkOption": function("mkOption", _option),
    "mkEnableOption": function("mkEnableOption", _enable),
    "mkPackageOption": function("mkPackageOption", _package),
    "literalExpression": function("literalExpression", force),
    "literalMD": function("literalMD", force),
    "mdDoc": function("mdDoc", force),
    "types": _types(),
}
