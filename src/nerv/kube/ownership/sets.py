"""Sets of fields in the very form in which managedFields store them (`fieldsV1`), so that nothing is converted.

A set is a dictionary from path elements to nodes. An element is `f:<field>`, `k:<JSON of the keys>` (an item of a list
of type map), `v:<JSON>` (an item of a list of type set) or `i:<index>`. A node is empty for a member without children;
else it holds the children, and `.` when it is a member itself. Nodes are shared and never changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import orjson

FieldSet: TypeAlias = dict[str, Any]

LEAF: Final[FieldSet] = {}


def is_member(node: FieldSet) -> bool:
    """Whether the node's own path belongs to the set."""
    return not node or "." in node


def node(member: bool, children: FieldSet) -> FieldSet | None:
    """A node, or None when nothing is left of it."""
    if not children:
        return LEAF if member else None
    if member:
        return {".": LEAF, **children}
    return children


def union(one: FieldSet, two: FieldSet) -> FieldSet:
    """Members of either set."""
    if not one:
        return two
    if not two:
        return one
    result = dict(one)
    for element, other in two.items():
        mine = result.get(element)
        if mine is None:
            result[element] = other
        elif element != "." and mine is not other:
            children = union(mine, other)
            leaf = not mine or not other
            result[element] = {".": LEAF, **children} if leaf and children else children
    return result


def difference(one: FieldSet, two: FieldSet) -> FieldSet:
    """Members of the first set that are no members of the second. A parent in the second does not take its children."""
    if not one or not two:
        return one
    result: FieldSet = {}
    for element, mine in one.items():
        if element == ".":
            continue
        other = two.get(element)
        if other is None:
            result[element] = mine
            continue
        rest = node(is_member(mine) and not is_member(other), difference(_children(mine), _children(other)))
        if rest is not None:
            result[element] = rest
    return result


def intersection(one: FieldSet, two: FieldSet) -> FieldSet:
    """Members of both sets."""
    result: FieldSet = {}
    for element, mine in one.items():
        other = two.get(element)
        if other is None or element == ".":
            continue
        both = node(is_member(mine) and is_member(other), intersection(_children(mine), _children(other)))
        if both is not None:
            result[element] = both
    return result


def _children(item: FieldSet) -> FieldSet:
    return {element: child for element, child in item.items() if element != "."} if "." in item else item


def ordered(fields: FieldSet) -> FieldSet:
    """With elements in the order in which the API server writes them."""
    return {element: ordered(fields[element]) if fields[element] else {} for element in sorted(fields)}


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The text of every member's path, as conflicts show it: `.spec.containers[name="web"].image`."""
    for element in sorted(fields):
        if element == ".":
            continue
        path = prefix + _text(element)
        if is_member(fields[element]):
            yield path
        yield from paths(fields[element], path)


def _text(element: str) -> str:
    kind, value = element[0], element[2:]
    if kind == "f":
        return f".{value}"
    if kind == "k":
        keys = orjson.loads(value)
        return "[" + ",".join(f"{name}={orjson.dumps(keys[name]).decode()}" for name in sorted(keys)) + "]"
    return f"[={value}]" if kind == "v" else f"[{value}]"
