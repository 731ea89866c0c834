"""What Helm makes of a live object: the old manifest, the new manifest and the present state in one.

Builtin kinds are merged by their merge keys (fields that others set stay), custom resources get the difference of the
two manifests alone and are not looked at (Helm 3; https://helm.sh/docs/faq/changes_since_helm2/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nerv.kube.objects import clone
from nerv.kube.schemas import ANY, Schema


def merged(original: Mapping[str, Any], target: Mapping[str, Any], live: Mapping[str, Any], schema: Schema) -> Any:
    """The live object with what `target` says, without what only `original` said."""
    result = dict(live)
    for name in original:
        if name not in target:
            result.pop(name, None)
    for name, value in target.items():
        field = schema.field(name) or ANY
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and "replace" not in field.strategies:
            result[name] = merged(_map(original.get(name)), value, _map(result.get(name)), field)
        elif isinstance(value, list) and "merge" in field.strategies:
            result[name] = _merged_list(_list(original.get(name)), value, _list(result.get(name)), field)
        else:
            result[name] = clone(value)
    return result


def _merged_list(original: Sequence[Any], target: Sequence[Any], live: Sequence[Any], field: Schema) -> list[Any]:
    """Items of the target in its order, then those that somebody else added."""
    key = field.merge_key
    if not key:
        foreign = [item for item in live if item not in target and item not in original]
        return [*target, *foreign]
    schema = field.items or ANY
    old, present = ({_id(item, key): item for item in items} for items in (original, live))
    wanted = {_id(item, key) for item in target}
    items = [merged(_map(old.get(_id(item, key))), item, _map(present.get(_id(item, key))), schema) for item in target]
    foreign = [item for item in live if _id(item, key) not in wanted and _id(item, key) not in old]
    return [*items, *foreign]


def _id(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, Mapping) else item


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch from one object to another; empty when they are equal."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            inner = merge_patch(old, value)
            if inner:
                patch[name] = inner
        elif name not in before or value != old:
            patch[name] = value
    return patch
