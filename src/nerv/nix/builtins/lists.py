"""Lists."""

from __future__ import annotations

import functools
from collections.abc import Callable

from nerv.nix import coercion
from nerv.nix.arguments import attributes, boolean, integer, items, member, text
from nerv.nix.functions import delayed
from nerv.nix.values import (
    EvaluationError,
    Set,
    apply,
    force,
)


def map_list(mapped: object, values: object) -> object:
    return [delayed(mapped, value) for value in items(values)]


def filter_list(keep: object, values: object) -> object:
    return [value for value in items(values) if boolean(apply(keep, value))]


def fold(joined: object, start: object, values: object) -> object:
    made = start
    for value in items(values):
        made = apply(joined, made, value)
    return force(made)


def concat_lists(lists: object) -> object:
    return [value for inner in items(lists) for value in items(inner)]


def concat_map(mapped: object, values: object) -> object:
    return [inner for value in items(values) for inner in items(apply(mapped, value))]


def gen_list(made: object, count: object) -> object:
    return [delayed(made, number) for number in range(integer(count))]


def sort_list(before: object, values: object) -> object:
    def compare(left: object, right: object) -> int:
        if boolean(apply(before, left, right)):
            return -1
        return 1 if boolean(apply(before, right, left)) else 0

    return sorted(items(values), key=functools.cmp_to_key(compare))


def elem(wanted: object, values: object) -> object:
    return any(coercion.equal(wanted, value) for value in items(values))


def elem_at(values: object, position: object) -> object:
    found, at = items(values), integer(position)
    if not 0 <= at < len(found):
        raise EvaluationError(f"position {at} is outside a list of {len(found)}")
    return force(found[at])


def head(values: object) -> object:
    return elem_at(values, 0)


def tail(values: object) -> object:
    found = items(values)
    if not found:
        raise EvaluationError("an empty list has no tail")
    return found[1:]


def any_of(holds: object, values: object) -> object:
    return any(boolean(apply(holds, value)) for value in items(values))


def all_of(holds: object, values: object) -> object:
    return all(boolean(apply(holds, value)) for value in items(values))


def partition(holds: object, values: object) -> object:
    right: list[object] = []
    wrong: list[object] = []
    for value in items(values):
        (right if boolean(apply(holds, value)) else wrong).append(value)
    return Set({"right": right, "wrong": wrong})


def group_by(key: object, values: object) -> object:
    made: dict[str, list[object]] = {}
    for value in items(values):
        made.setdefault(text(apply(key, value)), []).append(value)
    return Set(made)


def generic_closure(arguments: object) -> object:
    given = attributes(arguments)
    waiting, made, seen = list(items(member(given, "startSet"))), [], list[object]()
    while waiting:
        value = waiting.pop(0)
        key = force(member(attributes(value), "key"))
        if not any(coercion.equal(key, other) for other in seen):
            seen.append(key)
            made.append(value)
            waiting += items(apply(member(given, "operator"), value))
    return made


FUNCTIONS: dict[str, Callable[..., object]] = {
    "all": all_of,
    "any": any_of,
    "concatLists": concat_lists,
    "concatMap": concat_map,
    "elem": elem,
    "elemAt": elem_at,
    "filter": filter_list,
    "foldl'": fold,
    "genList": gen_list,
    "genericClosure": generic_closure,
    "groupBy": group_by,
    "head": head,
    "length": lambda values: len(items(values)),
    "map": map_list,
    "partition": partition,
    "sort": sort_list,
    "tail": tail,
}
