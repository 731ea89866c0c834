"""Sets."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from nerv.nix.arguments import attributes, boolean, has, items, member, text, texts
from nerv.nix.builtins import sets as builtin_sets
from nerv.nix.functions import delayed
from nerv.nix.library import lists
from nerv.nix.values import (
    Builtin,
    EvaluationError,
    Set,
    apply,
    force,
    later,
)


def _map_attrs_prime(mapped: object, values: object) -> object:
    found = attributes(values)
    return builtin_sets.list_to_attrs([delayed(mapped, name, found[name]) for name in found])


def _map_attrs_to_list(mapped: object, values: object) -> object:
    found = attributes(values)
    return [delayed(mapped, name, found[name]) for name in sorted(found)]


def _filter_attrs(keep: object, values: object) -> object:
    found = attributes(values)
    kept = {name: value for name, value in found.items() if boolean(apply(keep, name, value))}
    return Set(kept, found.places)


def _gen_attrs(names: object, made: object) -> object:
    return Set({text(name): delayed(made, name) for name in items(names)})


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
        if not isinstance(found, Set) or not has(found, name):
            return force(default)
        found = force(member(found, name))
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
    return Set({name: later(lambda v=values: lists.fold_right(joined, start, v)) for name, values in made.items()})  # type: ignore[misc]


def _merge_all(sets: object) -> object:
    made = Set()
    for values in map(attributes, items(sets)):
        made = Set({**made, **values}, {**made.places, **values.places})
    return made


def _map_cartesian(mapped: object, values: object) -> object:
    found = attributes(values)
    names = list(found)
    choices = itertools.product(*(items(found[name]) for name in names))
    return [delayed(mapped, Set(dict(zip(names, choice, strict=True)))) for choice in choices]


def _missing_path(path: object) -> object:
    raise EvaluationError(f"attribute `{'.'.join(texts(path))}` is missing")


FUNCTIONS: dict[str, Callable[..., object]] = {
    "attrByPath": _attr_by_path,
    "attrVals": lambda names, v: [member(attributes(v), name) for name in texts(names)],
    "attrsToList": lambda v: [Set({"name": n, "value": x}) for n, x in sorted(attributes(v).items())],
    "cartesianProduct": lambda v: _map_cartesian(Builtin("id", 1, force), v),
    "concatMapAttrs": lambda mapped, v: _merge_all(_map_attrs_to_list(mapped, v)),
    "filterAttrs": _filter_attrs,
    "foldAttrs": _fold_attrs,
    "genAttrs": _gen_attrs,
    "getAttrFromPath": lambda path, v: _attr_by_path(path, later(lambda: _missing_path(path)), v),
    "hasAttrByPath": _has_attr_by_path,
    "mapAttrs'": _map_attrs_prime,
    "mapAttrsRecursive": _map_attrs_recursive,
    "mapAttrsToList": _map_attrs_to_list,
    "mapCartesianProduct": _map_cartesian,
    "mergeAttrsList": _merge_all,
    "nameValuePair": lambda name, value: Set({"name": name, "value": value}),
    "recursiveUpdate": recursive_update,
    "setAttrByPath": _set_attr_by_path,
}
