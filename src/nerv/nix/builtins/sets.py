"""Sets: names, selections, merges."""

from __future__ import annotations

from collections.abc import Callable

from nerv.nix.arguments import attributes, has, items, member, text, texts
from nerv.nix.functions import delayed
from nerv.nix.values import (
    Closure,
    EvaluationError,
    Set,
    force,
    is_function,
    kind,
)


def attr_names(values: object) -> object:
    return sorted(attributes(values), key=str.encode)


def attr_values(values: object) -> object:
    found = attributes(values)
    return [found[name] for name in sorted(found, key=str.encode)]


def map_attrs(mapped: object, values: object) -> object:
    found = attributes(values)
    return Set({name: delayed(mapped, name, value) for name, value in found.items()}, found.places)


def get_attr(name: object, values: object) -> object:
    return force(member(attributes(values), text(name)))


def has_attr(name: object, values: object) -> object:
    return has(attributes(values), text(name))


def remove_attrs(values: object, names: object) -> object:
    found, removed = attributes(values), set(texts(names))
    return Set({name: value for name, value in found.items() if name not in removed}, found.places)


def intersect_attrs(wanted: object, values: object) -> object:
    names, found = attributes(wanted), attributes(values)
    return Set({name: value for name, value in found.items() if name in names}, found.places)


def list_to_attrs(pairs: object) -> object:
    made = Set()
    for pair in map(attributes, items(pairs)):
        made.setdefault(text(member(pair, "name")), member(pair, "value"))
    return made


def cat_attrs(name: object, sets: object) -> object:
    wanted = text(name)
    return [found[wanted] for found in map(attributes, items(sets)) if wanted in found]


def zip_attrs_with(joined: object, sets: object) -> object:
    found: dict[str, list[object]] = {}
    for values in map(attributes, items(sets)):
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return Set({name: delayed(joined, name, values) for name, values in found.items()})


def function_args(called: object) -> object:
    called = force(called)
    if isinstance(called, Set) and "__functionArgs" in called:
        return force(called["__functionArgs"])
    if not is_function(called):
        raise EvaluationError(f"a function is wanted, but {kind(called)} is given")
    return Set(called.parameters or {}) if isinstance(called, Closure) else Set()


FUNCTIONS: dict[str, Callable[..., object]] = {
    "attrNames": attr_names,
    "attrValues": attr_values,
    "catAttrs": cat_attrs,
    "functionArgs": function_args,
    "getAttr": get_attr,
    "hasAttr": has_attr,
    "intersectAttrs": intersect_attrs,
    "listToAttrs": list_to_attrs,
    "mapAttrs": map_attrs,
    "removeAttrs": remove_attrs,
    "unsafeGetAttrPos": lambda _name, _values: None,
    "zipAttrsWith": zip_attrs_with,
}
