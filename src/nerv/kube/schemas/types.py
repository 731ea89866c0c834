"""Whether the values of a builtin object have the types of its schema, in the words of the server's JSON decoder."""

from __future__ import annotations

from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.schemas.view import Schema

_GO_TYPES = {"string": "string", "boolean": "bool", "integer": "int32", "number": "float64"}


def type_error(obj: Object, schema: Schema) -> str:
    """Empty, or the message of a 400 answer: `Deployment in version "v1" cannot be handled as a Deployment: ...`."""
    found = _mismatch(obj, schema, "")
    if not found:
        return ""
    kind, version = objects.kind(obj), objects.split_api_version(objects.api_version(obj))[1]
    return f'{kind} in version "{version}" cannot be handled as a {kind}: {found}'


def _mismatch(value: Any, schema: Schema, path: str) -> str:
    if value is None or schema.untyped:
        return ""
    if isinstance(value, dict):
        if schema.type != "object":
            return _message("object", schema, path)
        for name, item in value.items():
            known = schema.properties.get(name) or schema.additional
            if known is not None and (found := _mismatch(item, known, f"{path}.{name}" if path else name)):
                return found
        return ""
    if isinstance(value, list):
        if schema.type != "array":
            return _message("array", schema, path)
        for item in value:
            if schema.items is not None and (found := _mismatch(item, schema.items, path)):
                return found
        return ""
    return "" if _scalar_fits(value, schema) else _message(_json_type(value), schema, path)


def _scalar_fits(value: Any, schema: Schema) -> bool:
    if schema.int_or_string:
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    if schema.quantity:
        return isinstance(value, (int, float, str)) and not isinstance(value, bool)
    if schema.type == "string":
        return isinstance(value, str)
    if schema.type == "boolean":
        return isinstance(value, bool)
    if schema.type == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return schema.type == "number" and isinstance(value, (int, float)) and not isinstance(value, bool)


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else f"number {value}" if isinstance(value, float) else "number"


def _message(found: str, schema: Schema, path: str) -> str:
    wanted = _GO_TYPES.get(schema.type, "")
    if schema.type == "integer" and schema.format == "int64":
        wanted = "int64"
    if schema.type == "array":
        wanted = "[]" + (_GO_TYPES.get(schema.items.type, "object") if schema.items else "object")
    return f"json: cannot unmarshal {found} into Go struct field {path} of type {wanted or 'object'}"
