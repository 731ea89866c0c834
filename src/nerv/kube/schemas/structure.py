"""What the API server does to an object by its schema before it looks at values: unknown fields, nulls, defaults.

These functions change the object in place, because the caller has just parsed it and owns it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from nerv.kube import fields, quantity
from nerv.kube.objects import Object, clone
from nerv.kube.schemas.view import MISSING, Schema


def prune(obj: Object, schema: Schema) -> list[str]:
    """Drops fields that the schema does not know and returns their paths (`spec.containers[0].foo`)."""
    removed: list[str] = []
    _prune(obj, schema, "", removed)
    return removed


def _prune(value: Any, schema: Schema, path: str, removed: list[str]) -> None:
    if isinstance(value, list):
        if schema.items is not None:
            for position, item in enumerate(value):
                if isinstance(item, (dict, list)):
                    _prune(item, schema.items, f"{path}[{position}]", removed)
        return
    if not isinstance(value, dict) or (schema.untyped and not schema.properties):
        return
    unknown = []
    for name, item in value.items():
        known = schema.properties.get(name) or schema.additional
        if known is not None:
            if isinstance(item, (dict, list)):
                _prune(item, known, f"{path}.{name}" if path else name, removed)
        elif not schema.open:
            unknown.append(name)
            removed.append(f"{path}.{name}" if path else name)
    for name in unknown:
        del value[name]


def unknown_fields(obj: Object, schema: Schema) -> list[str]:
    """The messages of strict field validation for fields outside of the schema: `unknown field "spec.foo"`."""
    return [f'unknown field "{path}"' for path in prune(clone(obj), schema)]


class _Repeated(dict[str, Any]):
    """An object of JSON text that names some keys twice."""

    names: tuple[str, ...] = ()


def duplicate_fields(body: bytes | str) -> list[str]:
    """The messages of strict field validation for keys that JSON text names twice: `duplicate field "spec.foo"`."""
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(result := dict(items)) == len(items):
            return result
        seen: set[str] = set()
        repeated = _Repeated(items)
        repeated.names = tuple(name for name, _ in items if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        found.extend(repeated.names)
        return repeated

    document = json.loads(body, object_pairs_hook=pairs)
    return [f'duplicate field "{path}"' for path in _repeated_paths(document, "")] if found else []


def _repeated_paths(value: Any, path: str) -> list[str]:
    paths: list[str] = []
    if isinstance(value, _Repeated):
        paths += [fields.child(path, name) for name in dict.fromkeys(value.names)]
    if isinstance(value, dict):
        for name, item in value.items():
            paths += _repeated_paths(item, fields.child(path, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            paths += _repeated_paths(item, fields.index(path, position))
    return paths


def default(obj: Object, schema: Schema) -> Object:
    """Fills in the defaults of a structural schema. A null in a field that is not nullable counts as missing."""
    _default(obj, schema)
    return obj


def _default(value: Any, schema: Schema) -> None:
    if isinstance(value, list):
        if schema.items is not None:
            for item in value:
                if isinstance(item, (dict, list)):
                    _default(item, schema.items)
        return
    for name, known in schema.properties.items():
        present = value.get(name, MISSING)
        if present is None and not known.nullable and not known.untyped:
            del value[name]
            present = MISSING
        if present is MISSING and known.default is not MISSING:
            value[name] = clone(known.default)
    if schema.additional is not None and not schema.additional.nullable and not schema.additional.untyped:
        for name in [name for name, item in value.items() if item is None and name not in schema.properties]:
            if schema.additional.default is MISSING:
                del value[name]
            else:
                value[name] = clone(schema.additional.default)
    for name, item in value.items():
        if isinstance(item, (dict, list)):
            known_field = schema.properties.get(name) or schema.additional
            if known_field is not None:
                _default(item, known_field)


def normalise(obj: Object, schema: Schema) -> Object:
    """Writes a builtin object as the API server's own types would: no nulls, quantities in canonical form.

    Raises ValueError with the server's words when a quantity cannot be read.
    """
    _normalise(obj, schema)
    return obj


# A null in a list of Go values is the value's zero.
_ZEROS: Final[Mapping[str, type]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
}


def _normalise(value: Any, schema: Schema) -> None:
    if isinstance(value, list):
        if schema.items is not None:
            for position, item in enumerate(value):
                if item is None and not schema.items.untyped:
                    item = value[position] = _ZEROS.get(schema.items.type, dict)()
                if schema.items.quantity:
                    value[position] = quantity.canonical(item)
                elif isinstance(item, (dict, list)):
                    _normalise(item, schema.items)
        return
    nulls = []
    for name, item in value.items():
        known = schema.properties.get(name) or schema.additional
        if known is None or known.untyped:
            continue
        if item is None:
            nulls.append(name)
        elif known.quantity:
            value[name] = quantity.canonical(item)
        elif isinstance(item, (dict, list)):
            _normalise(item, known)
    for name in nulls:
        del value[name]
