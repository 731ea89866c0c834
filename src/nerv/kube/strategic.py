"""The strategic merge: how a patch of `kubectl apply` (client side), `kubectl edit` or Helm 3 merges into an object.

Directives of the format: `$patch: delete|replace|merge`, `$retainKeys`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`. Documented in the Kubernetes community's "strategic merge patch" note.
"""

from __future__ import annotations

from typing import Any

from nerv.kube.objects import clone
from nerv.kube.schemas.view import ANY, Schema

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


class PatchError(ValueError):
    """A patch that cannot be applied, in the API server's words where they are known."""


def merge(original: Any, patch: Any, schema: Schema) -> Any:
    """Merges one object. Raises PatchError."""
    if not isinstance(patch, dict):
        return clone(patch)
    directive = patch.get(_PATCH)
    if directive == "replace":
        return clone({name: value for name, value in patch.items() if name != _PATCH})
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unknown patch type found in patch: {directive!r}")
    result = dict(original) if isinstance(original, dict) else {}
    if _RETAIN in patch:
        result = {name: value for name, value in result.items() if name in patch[_RETAIN]}
    for name, value in patch.items():
        if not name.startswith("$"):
            _merge_field(result, name, value, schema)
    _directives(result, patch, schema, original if isinstance(original, dict) else {})
    return result


def _merge_field(result: dict[str, Any], name: str, value: Any, schema: Schema) -> None:
    field = schema.field(name) or ANY
    if value is None:
        result.pop(name, None)
    elif isinstance(value, list):
        if "merge" in field.strategies:
            result[name] = _merge_list(result.get(name) or [], value, field)
        else:
            result[name] = clone(value)
    elif isinstance(value, dict) and "replace" not in field.strategies:
        merged = merge(result.get(name), value, field)
        if value.get(_PATCH) == "delete":
            result.pop(name, None)
        else:
            result[name] = merged
    else:
        result[name] = clone(value)


def _directives(result: dict[str, Any], patch: dict[str, Any], schema: Schema, original: dict[str, Any]) -> None:
    """Those that stand beside the list they speak of; the order last, because it speaks of the merged list."""
    for name, value in patch.items():
        if name.startswith(_DELETE_PRIMITIVES):
            field = name.removeprefix(_DELETE_PRIMITIVES)
            kept = [item for item in result.get(field) or () if item not in value]
            if field in result:
                result[field] = kept
    for name, value in patch.items():
        if name.startswith(_ORDER):
            field = name.removeprefix(_ORDER)
            if isinstance(result.get(field), list):
                key = (schema.field(field) or ANY).merge_key
                result[field] = _ordered(result[field], value, key, original.get(field) or [])


def _merge_list(original: list[Any], patch: list[Any], field: Schema) -> list[Any]:
    key = field.merge_key
    if not key or not all(isinstance(item, dict) for item in patch):
        return _ordered(original + [clone(item) for item in patch if item not in original], patch, "", original)
    if any(item.get(_PATCH) == "replace" for item in patch):
        return [clone(item) for item in patch if item.get(_PATCH) != "replace"]
    result = list(original)
    for item in patch:
        if key not in item:
            raise PatchError(f"map: {item} does not contain declared merge key: {key}")
        found = [position for position, other in enumerate(result) if other.get(key) == item[key]]
        if item.get(_PATCH) == "delete":
            result = [other for position, other in enumerate(result) if position not in found]
        elif found:
            result[found[0]] = merge(result[found[0]], item, field.items or ANY)
        else:
            result.append(merge({}, item, field.items or ANY))
    return _ordered(result, patch, key, original)


def _ordered(items: list[Any], order: list[Any], key: str, live: list[Any]) -> list[Any]:
    """Items that the patch names in its order; the others, which only the server has, stay before those that they
    stood before, and come last otherwise."""

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted, places = [identity(entry) for entry in order], [identity(item) for item in live]
    named = sorted((item for item in items if identity(item) in wanted), key=lambda item: wanted.index(identity(item)))
    own = [item for item in items if identity(item) not in wanted]
    result: list[Any] = []
    while own and named:
        first, other = identity(named[0]), identity(own[0])
        stays = first in places and other in places and places.index(other) < places.index(first)
        result.append(own.pop(0) if stays else named.pop(0))
    return result + named + own
