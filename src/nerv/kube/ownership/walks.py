"""Walks over values along their schema: which fields a configuration names, how it merges, what differs, what goes.

A value that a walk does not change is returned as the same Python object, which makes comparing it again free.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from nerv.kube.objects import clone
from nerv.kube.ownership.sets import LEAF, FieldSet, is_member, node
from nerv.kube.schemas.view import ANY, MISSING, Schema

_SORTED: Final = orjson.OPT_SORT_KEYS


def item_element(item: Any, schema: Schema) -> str:
    """The path element of an item of a list of type map or set. Raises ValueError when it has no identity."""
    if schema.list_type == "set":
        if isinstance(item, (dict, list)) or item is None:
            raise ValueError("associative list without keys has an element that's not a scalar")
        return "v:" + orjson.dumps(item).decode()
    if not isinstance(item, dict):
        message = "associative list with keys may not have non-map elements"
        raise ValueError(message)  # noqa: TRY004 (the caller turns identity problems of any sort into one error)
    identity = {}
    for name in schema.keys:
        value = item.get(name, MISSING)
        if value is MISSING:
            known = schema.items.properties.get(name) if schema.items else None
            value = known.default if known else MISSING
        if value is not MISSING:
            identity[name] = value
    if not identity:
        raise ValueError(f"associative list with keys has an element that omits all key fields {list(schema.keys)}")
    return "k:" + orjson.dumps(identity, option=_SORTED).decode()


def _is_leaf_list(schema: Schema) -> bool:
    return schema.list_type == "atomic" or schema.untyped


def named_fields(value: dict[str, Any], schema: Schema, problems: list[str], path: str = "") -> FieldSet:
    """The set of fields that a configuration names. What the schema does not have is added to `problems`."""
    result: FieldSet = {}
    properties = schema.properties
    for name, item in value.items():
        known = properties.get(name)
        declared = known is not None
        if known is None:
            known = schema.field(name)
            if known is None:
                problems.append(f"{path}.{name}: field not declared in schema")
                continue
        if isinstance(item, dict):
            if known.type not in ("object", "") or known.int_or_string:
                problems.append(f"{path}.{name}: expected {_expected(known)}, got map")
            elif known.atomic or not item:
                result["f:" + name] = LEAF
            else:
                made = node(not declared, named_fields(item, known, problems, f"{path}.{name}"))
                if made is not None:
                    result["f:" + name] = made
        elif isinstance(item, list):
            if known.type not in ("array", "") or known.int_or_string:
                problems.append(f"{path}.{name}: expected {_expected(known)}, got list")
            elif _is_leaf_list(known):
                result["f:" + name] = LEAF
            else:
                made = node(not declared, _named_items(item, known, problems, f"{path}.{name}"))
                if made is not None:
                    result["f:" + name] = made
        else:
            if item is not None and not _scalar_fits(item, known):
                problems.append(f"{path}.{name}: expected {_expected(known)}, got {_got(item)}")
            result["f:" + name] = LEAF
    return result


def _named_items(items: list[Any], schema: Schema, problems: list[str], path: str) -> FieldSet:
    result: FieldSet = {}
    for position, item in enumerate(items):
        try:
            element = item_element(item, schema)
        except ValueError as error:
            problems.append(f"{path}: element {position}: {error}")
            continue
        if element in result:
            problems.append(f"{path}: duplicate entries for key [{element[2:]}]")
        children = LEAF
        if isinstance(item, dict) and schema.items is not None and not schema.items.atomic:
            children = named_fields(item, schema.items, problems, f"{path}[{position}]")
        result[element] = node(True, children)
    return result


def _expected(schema: Schema) -> str:
    if schema.type in ("integer", "number"):
        return "numeric (int or float)"
    return {"object": "map", "array": "list", "boolean": "boolean", "string": "string"}.get(schema.type, "scalar")


def _got(item: Any) -> str:
    if isinstance(item, bool):
        return "boolean"
    return "string" if isinstance(item, str) else "numeric (int or float)"


def _scalar_fits(item: Any, schema: Schema) -> bool:
    kind = schema.type
    if not kind or schema.quantity:
        return True
    if kind == "string":
        return isinstance(item, str)
    if kind == "boolean":
        return isinstance(item, bool)
    return kind in ("integer", "number") and isinstance(item, (int, float)) and not isinstance(item, bool)


def merge(live: Any, applied: Any, schema: Schema) -> Any:
    """The live value with the configuration laid over it: maps and keyed lists merge, all else is replaced."""
    if isinstance(applied, dict) and not schema.atomic and isinstance(live, dict) and live:
        return _merge_map(live, applied, schema)
    if isinstance(applied, list) and not _is_leaf_list(schema) and isinstance(live, list) and live:
        return _merge_list(live, applied, schema)
    if applied is None and isinstance(live, (dict, list)) and live and not schema.atomic:
        return live
    return live if type(live) is type(applied) and live == applied else clone(applied)


def _merge_map(live: dict[str, Any], applied: dict[str, Any], schema: Schema) -> dict[str, Any]:
    result = live
    for name, wanted in applied.items():
        present = live.get(name, MISSING)
        if present is MISSING:
            merged = clone(wanted)
        else:
            merged = merge(present, wanted, schema.field(name) or ANY)
            if merged is present:
                continue
        if result is live:
            result = dict(live)
        result[name] = merged
    return result


def _merge_list(live: list[Any], applied: list[Any], schema: Schema) -> list[Any]:
    """Items of the configuration come in its order; items of others keep their place relative to shared ones."""
    items = schema.items or ANY
    present: dict[str, Any] = {}
    for item in live:
        present.setdefault(_element(item, schema), item)
    wanted = {_element(item, schema): item for item in applied}
    merged = {
        element: merge(present[element], item, items) if element in present else clone(item)
        for element, item in wanted.items()
    }
    result: list[Any] = []
    queue = list(wanted)
    for element, item in present.items():
        if element not in wanted:
            result.append(item)
        elif element in queue:
            position = queue.index(element)
            result += [merged[name] for name in queue[: position + 1]]
            queue = queue[position + 1 :]
    result += [merged[name] for name in queue]
    if len(result) == len(live) and all(one is two for one, two in zip(result, live, strict=True)):
        return live
    return result


def _element(item: Any, schema: Schema) -> str:
    """Like `item_element`, for stored lists too: an item without identity is its own value."""
    try:
        return item_element(item, schema)
    except ValueError:
        return "v:" + orjson.dumps(item, option=_SORTED).decode()


def compare(old: dict[str, Any], new: dict[str, Any], schema: Schema) -> tuple[FieldSet, FieldSet]:
    """The fields that are new or different, and those that are gone."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    _compare_map(old, new, schema, changed, removed)
    return changed, removed


def _compare_map(
    old: dict[str, Any], new: dict[str, Any], schema: Schema, changed: FieldSet, removed: FieldSet
) -> None:
    for name, value in new.items():
        former = old.get(name, MISSING)
        if former is value:
            continue
        known = schema.field(name) or ANY
        if former is MISSING:
            changed["f:" + name] = whole(value, known)
        else:
            _compare("f:" + name, former, value, known, changed, removed)
    for name, former in old.items():
        if name not in new:
            removed["f:" + name] = whole(former, schema.field(name) or ANY)


def _compare(element: str, old: Any, new: Any, schema: Schema, changed: FieldSet, removed: FieldSet) -> None:
    below_changed: FieldSet = {}
    below_removed: FieldSet = {}
    differs = False
    if isinstance(old, dict) and isinstance(new, dict) and not schema.atomic and (old or new):
        _compare_map(old, new, schema, below_changed, below_removed)
    elif isinstance(old, list) and isinstance(new, list) and not _is_leaf_list(schema) and (old or new):
        _compare_list(old, new, schema, below_changed, below_removed)
    elif type(old) is not type(new):
        differs = not (isinstance(old, (int, float)) and isinstance(new, (int, float)) and old == new)
        if isinstance(new, (dict, list)):
            below_changed = {name: child for name, child in whole(new, schema).items() if name != "."}
        if isinstance(old, (dict, list)):
            below_removed = {name: child for name, child in whole(old, schema).items() if name != "."}
    else:
        differs = old != new
    made = node(differs, below_changed)
    if made is not None:
        changed[element] = made
    gone = node(False, below_removed)
    if gone is not None:
        removed[element] = gone


def _compare_list(old: list[Any], new: list[Any], schema: Schema, changed: FieldSet, removed: FieldSet) -> None:
    items = schema.items or ANY
    before = {_element(item, schema): item for item in old}
    after = {_element(item, schema): item for item in new}
    for element, item in after.items():
        if element not in before:
            changed[element] = whole(item, items)
        elif before[element] is not item:
            _compare(element, before[element], item, items, changed, removed)
    for element, item in before.items():
        if element not in after:
            removed[element] = whole(item, items)


def whole(value: Any, schema: Schema) -> FieldSet:
    """The node of a value that came or went as a whole: it and everything below it are members."""
    if isinstance(value, dict) and value and not schema.atomic:
        return {
            ".": LEAF,
            **{"f:" + name: whole(item, schema.field(name) or ANY) for name, item in value.items()},
        }
    if isinstance(value, list) and value and not _is_leaf_list(schema):
        items = schema.items or ANY
        return {".": LEAF, **{_element(item, schema): whole(item, items) for item in value}}
    return LEAF


def remove(value: Any, schema: Schema, last: FieldSet, kept: FieldSet) -> Any:
    """Takes out of a value what its manager named last time (`last`) and nobody names now (`kept`).

    A declared field counts as named when anything below it is; an item of a map or list only when it is itself.
    """
    if isinstance(value, dict) and not schema.atomic:
        result = value
        for name, item in value.items():
            element = "f:" + name
            mine = last.get(element)
            if mine is None:
                continue
            declared = name in schema.properties
            others = kept.get(element)
            rest = MISSING
            if _keeps(mine, others, declared):
                rest = remove(item, schema.field(name) or ANY, mine, others or LEAF)
                if rest is item:
                    continue
            if result is value:
                result = dict(value)
            if rest is MISSING or rest in ({}, []):
                del result[name]
            else:
                result[name] = rest
        return result
    if isinstance(value, list) and not _is_leaf_list(schema):
        return _remove_items(value, schema, last, kept)
    return value


def _keeps(mine: FieldSet, others: FieldSet | None, declared: bool) -> bool:
    if not declared and not is_member(mine):
        return True
    return others is not None and (declared or is_member(others))


def _remove_items(value: list[Any], schema: Schema, last: FieldSet, kept: FieldSet) -> list[Any]:
    result = []
    changed = False
    for item in value:
        element = _element(item, schema)
        mine = last.get(element)
        if mine is None:
            result.append(item)
            continue
        others = kept.get(element)
        if not _keeps(mine, others, False):
            changed = True
            continue
        rest = remove(item, schema.items or ANY, mine, others or LEAF)
        changed = changed or rest is not item
        result.append(rest)
    return result if changed else value
