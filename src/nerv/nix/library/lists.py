"""Lists."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from nerv.nix import coercion
from nerv.nix.arguments import boolean, integer, items, texts
from nerv.nix.builtins import lists as builtin_lists
from nerv.nix.functions import delayed
from nerv.nix.values import (
    Builtin,
    EvaluationError,
    Set,
    apply,
    force,
)


def fold_right(joined: object, start: object, values: object) -> object:
    """Fold from the right."""
    made = start
    for value in reversed(items(values)):
        made = apply(joined, value, made)
    return force(made)


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
    return builtin_lists.sort_list(less, values)


def _zip_lists_with(joined: object, left: object, right: object) -> object:
    return [delayed(joined, a, b) for a, b in zip(items(left), items(right), strict=False)]


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


def _later_all(called: object, arguments: tuple[object, ...]) -> object:
    return delayed(called, *arguments)


FUNCTIONS: dict[str, Callable[..., object]] = {
    "count": _count,
    "crossLists": lambda called, lists: [_later_all(called, x) for x in itertools.product(*map(items, items(lists)))],
    "drop": lambda count, v: items(v)[integer(count) :],
    "findFirst": _find_first,
    "flatten": _flatten,
    "fold": fold_right,
    "foldl": builtin_lists.fold,
    "foldr": fold_right,
    "imap0": lambda mapped, v: [delayed(mapped, n, x) for n, x in enumerate(items(v))],
    "imap1": lambda mapped, v: [delayed(mapped, n, x) for n, x in enumerate(items(v), 1)],
    "init": lambda v: items(v)[:-1],
    "intersectLists": _intersect,
    "intersperse": lambda sign, v: [x for value in items(v) for x in (sign, value)][1:],
    "last": _last,
    "mutuallyExclusive": lambda a, b: not _intersect(a, b),
    "naturalSort": lambda v: sorted(texts(v)),
    "optional": lambda condition, value: [value] if boolean(condition) else [],
    "range": _range,
    "remove": _remove,
    "replicate": lambda count, v: [v] * integer(count),
    "reverseList": lambda v: items(v)[::-1],
    "singleton": lambda value: [value],
    "sortOn": _sort_on,
    "sublist": _sublist,
    "subtractLists": _subtract,
    "take": lambda count, v: items(v)[: integer(count)],
    "toList": lambda value: force(value) if isinstance(force(value), list) else [value],
    "unique": _unique,
    "zipLists": lambda a, b: [Set({"fst": x, "snd": y}) for x, y in zip(items(a), items(b), strict=False)],
    "zipListsWith": _zip_lists_with,
}
