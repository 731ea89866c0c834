"""Whether the values of a builtin object have the types of its schema, in the words of the server's JSON decoder."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.schemas.view import Schema

_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]")
_GO_TYPES = {"string": "string", "boolean": "bool", "integer": "int32", "number": "float64"}


def type_error(obj: Object, schema: Schema) -> str:
    """Empty, or the message of a 400 answer: `Deployment in version "v1" cannot be handled as a Deployment: ...`."""
    found = _mismatch(obj, schema, _Place("", ""))
    if not found:
        return ""
    kind, version = objects.kind(obj), objects.split_api_version(objects.api_version(obj))[1]
    return f'{kind} in version "{version}" cannot be handled as a {kind}: {found}'


class _Place(NamedTuple):
    """Where Go's decoder says that a value stands: the structure that holds the field, and the field's path. Keys of
    maps and positions in lists are not in it."""

    owner: str
    path: str

    def below(self, schema: Schema, name: str) -> _Place:
        return _Place(schema.title or self.owner, f"{self.path}.{name}" if self.path else name)


def _mismatch(value: Any, schema: Schema, place: _Place) -> str:
    if value is None or schema.untyped:
        return ""
    if isinstance(value, dict):
        if schema.type != "object":
            return _message("object", schema, place)
        for name, item in value.items():
            known = schema.properties.get(name)
            found = ""
            if known is not None:
                found = _mismatch(item, known, place.below(schema, name))
            elif schema.additional is not None:
                found = _mismatch(item, schema.additional, place)
            if found:
                return found
        return ""
    if isinstance(value, list):
        if schema.type != "array":
            return _message("array", schema, place)
        for item in value:
            if schema.items is not None and (found := _mismatch(item, schema.items, place)):
                return found
        return ""
    if not _scalar_fits(value, schema):
        return _message(_json_type(value), schema, place)
    return _bytes_error(value) if schema.format == "byte" else ""


def _bytes_error(text: str) -> str:
    """What Go's decoder of base64 says, with the place of the first byte that is wrong."""
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        body = text.rstrip("=")
        wrong = next((place for place, letter in enumerate(body) if not _BASE64.fullmatch(letter)), len(body))
        return f"illegal base64 data at input byte {wrong}"
    return ""


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


def _message(found: str, schema: Schema, place: _Place) -> str:
    wanted = _GO_TYPES.get(schema.type, "")
    if schema.type == "integer" and schema.format == "int64":
        wanted = "int64"
    if schema.type == "array":
        wanted = "[]" + (_GO_TYPES.get(schema.items.type, "object") if schema.items else "object")
    return (
        f"json: cannot unmarshal {found} into Go struct field {place.owner}.{place.path} of type {wanted or 'object'}"
    )
