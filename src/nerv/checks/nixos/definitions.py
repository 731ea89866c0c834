"""Definitions of options, and the marks on them: mkIf, mkMerge, priorities (mkForce, mkDefault) and order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nerv.nix.arguments import attributes, boolean, integer, items
from nerv.nix.functions import function
from nerv.nix.values import Place, Set, force, is_package

NORMAL, FORCE, DEFAULT, OPTION_DEFAULT, VIRTUAL_MACHINE = 100, 50, 1000, 1500, 10
FIRST, MIDDLE, LAST = 500, 1000, 1500


class Definition(NamedTuple):
    """A value that a module gives to an option."""

    file: str
    value: object
    place: Place | None = None
    priority: int = NORMAL
    order: int = MIDDLE


def _mark(kind: str, **values: object) -> Set:
    return Set({"_type": kind, **values})


def _override(priority: int) -> object:
    return function("mkOverride", lambda value: _mark("override", priority=priority, content=value))


def _order(order: int) -> object:
    return function("mkOrder", lambda value: _mark("order", priority=order, content=value))


FUNCTIONS: dict[str, object] = {
    "mkIf": function("mkIf", lambda condition, value: _mark("if", condition=condition, content=value)),
    "mkMerge": function("mkMerge", lambda values: _mark("merge", contents=values)),
    "mkOverride": function("mkOverride", lambda p, value: _mark("override", priority=integer(p), content=value)),
    "mkForce": _override(FORCE),
    "mkDefault": _override(DEFAULT),
    "mkOptionDefault": _override(OPTION_DEFAULT),
    "mkVMOverride": _override(VIRTUAL_MACHINE),
    "mkImageMediaOverride": _override(60),
    "mkOrder": function("mkOrder", lambda order, value: _mark("order", priority=integer(order), content=value)),
    "mkBefore": _order(FIRST),
    "mkAfter": _order(LAST),
}
_MARKS = ("if", "merge", "override", "order")


def mark(value: object) -> str | None:
    """Which mark a value carries, if any."""
    if not isinstance(value, Set) or "_type" not in value:
        return None
    kind = force(value["_type"])
    return kind if kind in _MARKS else None


def discharged(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """Definitions of an option without marks: conditions are looked at here."""
    for definition in definitions:
        value = force(definition.value)
        kind = mark(value)
        if kind is None:
            yield definition._replace(value=value)
            continue
        assert isinstance(value, Set)
        if kind == "merge":
            yield from discharged(definition._replace(value=item) for item in items(value["contents"]))
        elif kind == "if":
            if boolean(value["condition"]):
                yield from discharged((definition._replace(value=value["content"]),))
        elif kind == "override":
            changed = definition._replace(value=value["content"], priority=integer(value["priority"]))
            yield from discharged((changed,))
        else:
            changed = definition._replace(value=value["content"], order=integer(value["priority"]))
            yield from discharged((changed,))


def pushed_down(definition: Definition) -> Iterator[Definition]:
    """Definitions of a group of options with its marks handed down to what is in it.

    Conditions are not looked at: they may ask for the very configuration that is being made.
    """
    value = force(definition.value)
    kind = mark(value)
    if kind is None:
        yield definition._replace(value=value)
        return
    assert isinstance(value, Set)
    if kind == "merge":
        for item in items(value["contents"]):
            yield from pushed_down(definition._replace(value=item))
        return
    for inner in pushed_down(definition._replace(value=value["content"])):
        if not isinstance(inner.value, Set) or is_package(inner.value):
            yield inner
            continue
        wrapped = {name: Set({**value, "content": content}) for name, content in inner.value.items()}
        yield inner._replace(value=Set(wrapped, inner.value.places))


def of_name(definitions: Iterable[Definition], name: str) -> list[Definition]:
    """What definitions of a group say of one name in it."""
    made = []
    for definition in definitions:
        values = attributes(definition.value)
        if name in values:
            made.append(definition._replace(value=values[name], place=values.places.get(name) or definition.place))
    return made


def strongest(definitions: Iterable[Definition]) -> list[Definition]:
    """The definitions that count, in their order."""
    given = list(definitions)
    if len(given) < 2:
        return given
    best = min(definition.priority for definition in given)
    return sorted((d for d in given if d.priority == best), key=lambda d: d.order)
