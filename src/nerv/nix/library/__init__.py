"""nixpkgs' `lib` as modules use it: functions without the module system. Behaviour from the nixpkgs manual."""

from __future__ import annotations

from typing_extensions import override

from nerv.nix import builtins, coercion
from nerv.nix.functions import function
from nerv.nix.library import control, lists, sets, strings
from nerv.nix.values import NotModelled, Partial


class Library(Partial):
    """The set `lib`; its parts (`lib.strings`, `lib.lists`, ...) hold all of it, which is no loss."""

    __slots__ = ()

    @override
    def missing(self, name: str) -> object:
        raise NotModelled(f"lib.{name} is not known offline")


_PARTS = ("attrsets", "lists", "strings", "trivial", "modules", "options", "fixedPoints", "customisation", "asserts")


def make(release: str, more: dict[str, object]) -> Library:
    """The library of a NixOS release, with `more` in it; what builtins have is there too."""
    known = builtins.functions()
    made = Library({**{name: known[name] for name in _OF_BUILTINS}, **_constants(release)})
    made |= {name: function(name, python) for name, python in _FUNCTIONS.items()}
    made |= more
    made |= dict.fromkeys(_PARTS, made)
    made["versions"] = Library({name: function(name, python) for name, python in strings.VERSIONS.items()})
    made["generators"] = Library({"toJSON": function("toJSON", lambda _options, value: coercion.to_json(value))})
    made["meta"] = made["sources"] = made["filesystem"] = made
    return made


def _constants(release: str) -> dict[str, object]:
    return {
        "version": release,
        "systems": Library({"flakeExposed": ["x86_64-linux", "aarch64-linux"]}),
        "licenses": Library(),
        "maintainers": Library(),
        "platforms": Library({"linux": ["x86_64-linux", "aarch64-linux"]}),
    }


_OF_BUILTINS = (
    *("add", "all", "any", "attrNames", "attrValues", "catAttrs", "compareVersions", "concatLists", "concatMap"),
    *("concatStringsSep", "deepSeq", "elem", "elemAt", "filter", "foldl'", "fromJSON", "functionArgs", "genList"),
    *("genericClosure", "getAttr", "groupBy", "hasAttr", "hashString", "head", "intersectAttrs", "isAttrs", "isBool"),
    *("isFloat", "isFunction", "isInt", "isList", "isPath", "isString", "length", "lessThan", "listToAttrs", "map"),
    *("mapAttrs", "match", "parseDrvName", "partition", "removeAttrs", "replaceStrings", "seq", "sort", "split"),
    *("splitVersion", "stringLength", "sub", "substring", "tail", "toJSON", "toString", "trace", "tryEval", "typeOf"),
    *("unsafeGetAttrPos", "zipAttrsWith", "baseNameOf", "bitAnd", "bitOr", "bitXor", "throw", "placeholder", "abort"),
)

_FUNCTIONS = {**sets.FUNCTIONS, **lists.FUNCTIONS, **strings.FUNCTIONS, **control.FUNCTIONS}
