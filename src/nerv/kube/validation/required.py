"""Required texts and objects of builtin kinds, from the definitions.

Numbers, booleans and lists are left out: Go takes a missing one for its zero value, and the rules of the kinds speak
of those that may not be zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from nerv.kube import fields
from nerv.kube.fields import FieldError
from nerv.kube.schemas.view import Schema

# Declared as required, and accepted when missing.
_LENIENT: Final = frozenset(
    ("serviceName", "value", "metadata", "involvedObject", "preference", "fieldPath", "name", "template")
)
_SKIPPED: Final = frozenset(("status", "metadata", "managedFields"))


def check(obj: dict[str, Any], schema: Schema, path: str = "") -> Iterator[FieldError]:
    """A `Required value` for each that is missing or an empty text."""
    for name in schema.required:
        known = schema.properties.get(name)
        if known is None or known.type not in ("string", "object") or name in _LENIENT:
            continue
        if not obj.get(name) and (known.type == "string" or name not in obj):
            yield fields.required(fields.child(path, name))
    for name, value in obj.items():
        known = schema.properties.get(name) or schema.additional
        if known is None or known.untyped or (not path and name in _SKIPPED):
            continue
        if isinstance(value, dict):
            yield from check(value, known, fields.child(path, name))
        elif isinstance(value, list) and known.items is not None:
            for position, item in enumerate(value):
                if isinstance(item, dict):
                    yield from check(item, known.items, fields.index(fields.child(path, name), position))
