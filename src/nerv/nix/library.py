"""nixpkgs' `lib` as modules use it: functions without the module system. Behaviour from the nixpkgs manual."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

from typing_extensions import override

from nerv.nix import builtins, coercion
from nerv.nix.arguments import attributes, boolean, integer, items, member, text, texts
from nerv.nix.builtins import function
from nerv.nix.values import (
    Builtin,
    EvaluationError,
    NotModelled,
    Partial,
    Path,
    Set,
    apply,
    force,
    is_function,
    is_package,
    later,
)


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
    made["versions"] = Library({name: function(name, python) for name, python in _VERSIONS.items()})
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


def _later(called: object, *arguments: object) -> object:
    return later(lambda: apply(called, *arguments))


# --- sets


def _map_attrs_prime(mapped: object, values: object) -> object:
    found = attributes(values)
    return builtins.list_to_attrs([_later(mapped, name, found[name]) for name in found])


def _map_attrs_to_list(mapped: object, values: object) -> object:
    found = attributes(values)
    return [_later(mapped, name, found[name]) for name in sorted(found)]


def _filter_attrs(keep: object, values: object) -> object:
    found = attributes(values)
    kept = {name: value for name, value in found.items() if boolean(apply(keep, name, value))}
    return Set(kept, found.places)


def _gen_attrs(names: object, made: object) -> object:
    return Set({text(name): _later(made, name) for name in items(names)})


def recursive_update(left: object, right: object) -> object:
    """Sets merged in depth; the right wins."""
    first, second = force(left), force(right)
    if not isinstance(first, Set) or not isinstance(second, Set):
        return second
    merged = {
        name: later(lambda a=first[name], b=value: recursive_update(a, b)) if name in first else value  # type: ignore[misc]
        for name, value in second.items()
    }
    return Set({**first, **merged}, {**first.places, **second.places})


def _map_attrs_recursive(mapped: object, values: object, path: list[object] | None = None) -> object:
    at = path or []

    def inner(name: str, value: object) -> object:
        forced = force(value)
        here = [*at, name]
        return _map_attrs_recursive(mapped, forced, here) if isinstance(forced, Set) else apply(mapped, here, forced)

    found = attributes(values)
    return Set({name: later(lambda n=name, v=value: inner(n, v)) for name, value in found.items()}, found.places)  # type: ignore[misc]


def _attr_by_path(path: object, default: object, values: object) -> object:
    found = force(values)
    for name in texts(path):
        if not isinstance(found, Set) or name not in found:
            return force(default)
        found = force(found[name])
    return found


def _has_attr_by_path(path: object, values: object) -> object:
    missing = object()
    return _attr_by_path(path, missing, values) is not missing


def _set_attr_by_path(path: object, value: object) -> object:
    made = value
    for name in reversed(texts(path)):
        made = Set({name: made})
    return force(made)


def _fold_attrs(joined: object, start: object, sets: object) -> object:
    made: dict[str, list[object]] = {}
    for values in map(attributes, items(sets)):
        for name, value in values.items():
            made.setdefault(name, []).append(value)
    return Set({name: later(lambda v=values: fold_right(joined, start, v)) for name, values in made.items()})  # type: ignore[misc]


def fold_right(joined: object, start: object, values: object) -> object:
    """Fold from the right."""
    made = start
    for value in reversed(items(values)):
        made = apply(joined, value, made)
    return force(made)


def _merge_all(sets: object) -> object:
    made = Set()
    for values in map(attributes, items(sets)):
        made = Set({**made, **values}, {**made.places, **values.places})
    return made


def _map_cartesian(mapped: object, values: object) -> object:
    found = attributes(values)
    names = list(found)
    choices = itertools.product(*(items(found[name]) for name in names))
    return [_later(mapped, Set(dict(zip(names, choice, strict=True)))) for choice in choices]


# --- lists


def _flatten(value: object) -> list[object]:
    value = force(value)
    return [inner for item in value for inner in _flatten(item)] if isinstance(value, list) else [value]


def _unique(values: object) -> object:
    made: list[object] = []
    for value in items(values):
        if not any(coercion.equal(value, other) for other in made):
            made.append(value)
    return made


def _find_first(holds: object, default: object, values: object) -> object:
    for value in items(values):
        if boolean(apply(holds, value)):
            return force(value)
    return force(default)


def _range(first: object, last: object) -> object:
    return list(range(integer(first), integer(last) + 1))


def _last(values: object) -> object:
    found = items(values)
    if not found:
        raise EvaluationError("an empty list has no last item")
    return force(found[-1])


def _sublist(start: object, count: object, values: object) -> object:
    begin = integer(start)
    return items(values)[begin : begin + integer(count)]


def _sort_on(key: object, values: object) -> object:
    less = Builtin("less", 2, lambda a, b: coercion.less(apply(key, a), apply(key, b)))
    return builtins.sort_list(less, values)


def _zip_lists_with(joined: object, left: object, right: object) -> object:
    return [_later(joined, a, b) for a, b in zip(items(left), items(right), strict=False)]


def _remove(value: object, values: object) -> object:
    return [item for item in items(values) if not coercion.equal(item, value)]


def _subtract(removed: object, values: object) -> object:
    taken = items(removed)
    return [item for item in items(values) if not any(coercion.equal(item, other) for other in taken)]


def _intersect(left: object, right: object) -> object:
    kept = items(left)
    return [item for item in items(right) if any(coercion.equal(item, other) for other in kept)]


def _count(holds: object, values: object) -> object:
    return sum(boolean(apply(holds, value)) for value in items(values))


# --- text


def _mapped_text(separator: object, mapped: object, values: object) -> object:
    return text(separator).join(coercion.interpolated(apply(mapped, value)) for value in items(values))


def _imapped_text(separator: object, mapped: object, values: object) -> object:
    made = (coercion.interpolated(apply(mapped, number, value)) for number, value in enumerate(items(values), 1))
    return text(separator).join(made)


def _mapped_attrs_text(separator: object, mapped: object, values: object) -> object:
    found = attributes(values)
    made = (coercion.interpolated(apply(mapped, name, found[name])) for name in sorted(found))
    return text(separator).join(made)


def _split_string(separator: object, value: object) -> object:
    return list(text(value).split(text(separator)))


def shell_argument(value: object) -> str:
    """A word of a shell, quoted where it must be."""
    word = coercion.to_text(value)
    if re.fullmatch(r"[\w,._+:@%/-]+", word, re.ASCII):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def _get_exe(package: object) -> object:
    found = attributes(package)
    meta = force(found.get("meta")) if "meta" in found else Set()
    program = force(meta.get("mainProgram")) if isinstance(meta, Set) and "mainProgram" in meta else None
    name = program or force(found.get("pname")) or force(found.get("name"))
    return f"{coercion.interpolated(package)}/bin/{text(name)}"


def _get_exe_named(package: object, name: object) -> object:
    return f"{coercion.interpolated(package)}/bin/{text(name)}"


def _search_path(folder: object, values: object) -> object:
    return ":".join(f"{coercion.interpolated(value)}/{text(folder)}" for value in items(values) if force(value))


def _fixed_width(width: object, filler: object, value: object) -> object:
    missing = integer(width) - len(text(value))
    return text(filler) * max(missing, 0) + text(value)


def _to_int(value: object) -> object:
    found = re.fullmatch(r"\s*(-?[0-9]+)\s*", text(value))
    if not found:
        raise EvaluationError(f"{coercion.show(value)} is not an integer")
    return int(found[1])


def _escape(signs: object, value: object) -> object:
    made = text(value)
    for sign in texts(signs):
        made = made.replace(sign, f"\\{sign}")
    return made


def _to_sentence_case(value: object) -> object:
    word = text(value)
    return word[:1].upper() + word[1:].lower()


# --- control


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


def _major(version: object) -> str:
    return ".".join(text(version).split(".")[:1])


_VERSIONS: dict[str, Callable[..., object]] = {
    "major": _major,
    "majorMinor": lambda version: ".".join(text(version).split(".")[:2]),
}

_FUNCTIONS: dict[str, Callable[..., object]] = {
    "id": force,
    "const": lambda value, _other: force(value),
    "flip": lambda called, a, b: apply(called, b, a),
    "pipe": _pipe,
    "fix": _fix,
    "assertMsg": _assert_message,
    "throwIf": _throw_if,
    "throwIfNot": lambda holds, message, value: _throw_if(not boolean(holds), message, value),
    "warn": _second,
    "warnIf": _third,
    "warnIfNot": _third,
    "info": _second,
    "makeOverridable": _make_overridable,
    "min": lambda a, b: min(integer(a), integer(b)),
    "max": lambda a, b: max(integer(a), integer(b)),
    "mod": lambda a, b: integer(a) % integer(b),
    "isDerivation": lambda value: is_package(force(value)),
    "isStringLike": lambda value: isinstance(force(value), (str, Path)) or is_package(force(value)),
    "boolToString": lambda value: "true" if boolean(value) else "false",
    "mapAttrs'": _map_attrs_prime,
    "mapAttrsToList": _map_attrs_to_list,
    "mapAttrsRecursive": _map_attrs_recursive,
    "attrsToList": lambda v: [Set({"name": n, "value": x}) for n, x in sorted(attributes(v).items())],
    "filterAttrs": _filter_attrs,
    "genAttrs": _gen_attrs,
    "nameValuePair": lambda name, value: Set({"name": name, "value": value}),
    "recursiveUpdate": recursive_update,
    "attrByPath": _attr_by_path,
    "hasAttrByPath": _has_attr_by_path,
    "setAttrByPath": _set_attr_by_path,
    "getAttrFromPath": lambda path, v: _attr_by_path(path, later(lambda: _missing_path(path)), v),
    "attrVals": lambda names, v: [member(attributes(v), name) for name in texts(names)],
    "foldAttrs": _fold_attrs,
    "mergeAttrsList": _merge_all,
    "cartesianProduct": lambda v: _map_cartesian(Builtin("id", 1, force), v),
    "mapCartesianProduct": _map_cartesian,
    "optionalAttrs": _when(Set),
    "optional": lambda condition, value: [value] if boolean(condition) else [],
    "optionals": _when(list),
    "optionalString": _when(str),
    "singleton": lambda value: [value],
    "foldl": builtins.fold,
    "foldr": fold_right,
    "fold": fold_right,
    "flatten": _flatten,
    "toList": lambda value: force(value) if isinstance(force(value), list) else [value],
    "unique": _unique,
    "imap0": lambda mapped, v: [_later(mapped, n, x) for n, x in enumerate(items(v))],
    "imap1": lambda mapped, v: [_later(mapped, n, x) for n, x in enumerate(items(v), 1)],
    "findFirst": _find_first,
    "range": _range,
    "last": _last,
    "init": lambda v: items(v)[:-1],
    "take": lambda count, v: items(v)[: integer(count)],
    "drop": lambda count, v: items(v)[integer(count) :],
    "sublist": _sublist,
    "reverseList": lambda v: items(v)[::-1],
    "sortOn": _sort_on,
    "naturalSort": lambda v: sorted(texts(v)),
    "zipListsWith": _zip_lists_with,
    "zipLists": lambda a, b: [Set({"fst": x, "snd": y}) for x, y in zip(items(a), items(b), strict=False)],
    "remove": _remove,
    "subtractLists": _subtract,
    "intersectLists": _intersect,
    "mutuallyExclusive": lambda a, b: not _intersect(a, b),
    "count": _count,
    "crossLists": lambda called, lists: [_later_all(called, x) for x in itertools.product(*map(items, items(lists)))],
    "concatStrings": lambda v: builtins.concat_strings_sep("", v),
    "concatMapStrings": lambda mapped, v: _mapped_text("", mapped, v),
    "concatMapStringsSep": _mapped_text,
    "concatImapStringsSep": _imapped_text,
    "concatMapAttrsStringSep": _mapped_attrs_text,
    "concatMapAttrs": lambda mapped, v: _merge_all(_map_attrs_to_list(mapped, v)),
    "concatLines": lambda v: "".join(f"{coercion.interpolated(value)}\n" for value in items(v)),
    "intersperse": lambda sign, v: [x for value in items(v) for x in (sign, value)][1:],
    "hasPrefix": lambda prefix, v: coercion.interpolated(v).startswith(text(prefix)),
    "hasSuffix": lambda suffix, v: coercion.interpolated(v).endswith(text(suffix)),
    "hasInfix": lambda infix, v: text(infix) in coercion.interpolated(v),
    "removePrefix": lambda prefix, v: text(v).removeprefix(text(prefix)),
    "removeSuffix": lambda suffix, v: text(v).removesuffix(text(suffix)),
    "splitString": _split_string,
    "toLower": lambda v: text(v).lower(),
    "toUpper": lambda v: text(v).upper(),
    "toSentenceCase": _to_sentence_case,
    "trim": lambda v: text(v).strip(" \t\r\n"),
    "stringToCharacters": lambda v: list(text(v)),
    "fixedWidthString": _fixed_width,
    "fixedWidthNumber": lambda width, v: _fixed_width(width, "0", coercion.to_text(v)),
    "replicate": lambda count, v: [v] * integer(count),
    "escape": _escape,
    "escapeShellArg": shell_argument,
    "escapeShellArgs": lambda v: " ".join(map(shell_argument, items(v))),
    "escapeRegex": lambda v: _escape(list("\\[{()^$?*+|."), v),
    "escapeNixString": lambda v: coercion.show(text(v)),
    "toInt": _to_int,
    "toIntBase10": _to_int,
    "getExe": _get_exe,
    "getExe'": _get_exe_named,
    "getBin": force,
    "getLib": force,
    "makeBinPath": lambda v: _search_path("bin", v),
    "makeLibraryPath": lambda v: _search_path("lib", v),
    "makeSearchPath": _search_path,
    "versionOlder": lambda a, b: builtins.compare_versions(a, b) == -1,
    "versionAtLeast": lambda a, b: builtins.compare_versions(a, b) != -1,
    "toHexString": lambda v: f"{integer(v):X}",
    "setFunctionArgs": lambda called, _arguments: force(called),
    "toFunction": lambda v: force(v) if is_function(force(v)) else Builtin("const", 1, lambda _: force(v)),
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


def _later_all(called: object, arguments: tuple[object, ...]) -> object:
    return _later(called, *arguments)


def _missing_path(path: object) -> object:
    raise EvaluationError(f"attribute `{'.'.join(texts(path))}` is missing")
