"""Validation of custom resources by their structural schema, in the API server's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from nerv.kube import fields
from nerv.kube.fields import FieldError
from nerv.kube.objects import Object
from nerv.kube.schemas import formats, rules
from nerv.kube.schemas.view import MISSING, Schema

_FLAGS_AT_START = re.compile(r"\(\?[aiLmsux]+\)")


_UNCHECKED = FieldError(
    "<nil>",
    fields.INVALID,
    'Invalid value: "null": some validation rules were not checked because the object was invalid; '
    "correct the existing errors to complete validation",
)


def validate(obj: Object, schema: Schema, old: Object | None = None) -> list[FieldError]:
    """Everything wrong with a custom resource. `old` is the stored object on updates (transition rules need it)."""
    errors = list(_object(obj, schema, ""))
    if not errors:
        return list(rules.check(obj, schema, "", old if old is not None else MISSING))
    # The API server runs the rules only on objects of the right shape: they assume the types of the schema.
    misshapen = any(error.reason != fields.DUPLICATE for error in errors)
    return [*errors, _UNCHECKED] if misshapen and rules.present(schema) else errors


def _node(value: Any, schema: Schema, path: str) -> Iterator[FieldError]:
    raw = schema.raw
    if value is None and (schema.nullable or (schema.untyped and not raw.get("enum"))):
        return
    if not _type_fits(value, schema):
        wanted = "integer,string" if schema.int_or_string else schema.type
        found = json_type(value)
        yield fields.type_invalid(path, found, f'{path or "<nil>"} in body must be of type {wanted}: "{found}"')
        return
    if isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _list(value, schema, path)
    elif isinstance(value, str):
        yield from _text(value, raw, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number(value, raw, path)
    if "enum" in raw and value not in raw["enum"]:
        yield fields.not_supported(path, value, raw["enum"])
    if not raw.keys().isdisjoint(_JUNCTORS):
        yield from _junctors(value, raw, path)


def json_type(value: Any) -> str:
    """The JSON type of a value, as messages name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _type_fits(value: Any, schema: Schema) -> bool:
    found = json_type(value)
    if schema.int_or_string:
        return found in ("integer", "string")
    if not schema.type or found == schema.type:
        return True
    if schema.type == "number":
        return found == "integer"
    return schema.type == "integer" and found == "number" and float(value).is_integer()


def _object(value: dict[str, Any], schema: Schema, path: str) -> Iterator[FieldError]:
    for name in schema.required:
        if name not in value:
            yield fields.required(f"{path}.{name}" if path else name)
    raw = schema.raw
    if "minProperties" in raw and len(value) < raw["minProperties"]:
        detail = f"{path} in body should have at least {raw['minProperties']} properties"
        yield fields.invalid(path, len(value), detail)
    if "maxProperties" in raw and len(value) > raw["maxProperties"]:
        yield fields.too_many(path, len(value), raw["maxProperties"])
    for name, item in value.items():
        known = schema.properties.get(name) or schema.additional
        # ObjectMeta is no part of the custom schema: the server checks it for every kind in the same way.
        if known is not None and (known.raw or name != "metadata"):
            yield from _node(item, known, f"{path}.{name}" if path else name)


def _list(value: list[Any], schema: Schema, path: str) -> Iterator[FieldError]:
    raw = schema.raw
    if "minItems" in raw and len(value) < raw["minItems"]:
        yield fields.invalid(path, len(value), f"{path} in body should have at least {raw['minItems']} items")
    if "maxItems" in raw and len(value) > raw["maxItems"]:
        yield fields.too_many(path, len(value), raw["maxItems"])
    if schema.items is not None:
        for position, item in enumerate(value):
            yield from _node(item, schema.items, f"{path}[{position}]")
    if schema.list_type != "atomic":
        yield from _duplicates(value, schema, path)


def _duplicates(value: list[Any], schema: Schema, path: str) -> Iterator[FieldError]:
    seen: list[Any] = []
    for position, item in enumerate(value):
        identity = item
        if schema.list_type == "map":
            if not isinstance(item, dict):
                continue
            identity = {name: item[name] for name in schema.keys if name in item}
        if identity in seen:
            shown = fields.show(identity)
            if isinstance(identity, dict):
                shown = f"map[string]interface {{}}{shown}"
            yield FieldError(fields.index(path, position), fields.DUPLICATE, f"Duplicate value: {shown}")
        seen.append(identity)


def _text(value: str, raw: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if "minLength" in raw and len(value) < raw["minLength"]:
        yield fields.invalid(path, value, f"{path} in body should be at least {raw['minLength']} chars long")
        return  # the first complaint about a text is the only one
    if "maxLength" in raw and len(value) > raw["maxLength"]:
        yield FieldError(path, fields.TOO_LONG, f"Too long: may not be longer than {raw['maxLength']}")
        return
    if "pattern" in raw and not pattern(raw["pattern"]).search(value):
        yield fields.invalid(path, value, f"{path} in body should match '{raw['pattern']}'")
    if "format" in raw and not formats.valid(raw["format"], value):
        yield fields.invalid(path, value, f"{path} in body must be of type {raw['format']}: {fields.show(value)}")


@lru_cache(maxsize=1024)
def pattern(text: str) -> re.Pattern[str]:
    """Compiles a regular expression of Go's RE2 flavour with Python's engine."""
    flags = "".join(match[0] for match in _FLAGS_AT_START.finditer(text) if match.start() > 0)
    python = text.replace(r"\z", r"\Z").replace("[[:alnum:]]", "[0-9A-Za-z]").replace("[[:alpha:]]", "[A-Za-z]")
    python = re.sub(r"(?<!\\)\$$", r"\\Z", python)  # a dollar sign of Go matches at the very end only
    return re.compile(f"(?{flags[2:-1]}){_FLAGS_AT_START.sub('', python)}" if flags else python)


def _number(value: float, raw: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if "minimum" in raw:
        low, open_end = raw["minimum"], raw.get("exclusiveMinimum") is True
        if value < low or (open_end and value == low):
            words = "greater than" if open_end else "greater than or equal to"
            yield fields.invalid(path, value, f"{path} in body should be {words} {_plain(low)}")
    if "maximum" in raw:
        high, open_end = raw["maximum"], raw.get("exclusiveMaximum") is True
        if value > high or (open_end and value == high):
            words = "less than" if open_end else "less than or equal to"
            yield fields.invalid(path, value, f"{path} in body should be {words} {_plain(high)}")
    if raw.get("multipleOf") and value % raw["multipleOf"]:
        yield fields.invalid(path, value, f"{path} in body should be a multiple of {_plain(raw['multipleOf'])}")


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


_JUNCTORS = frozenset(("allOf", "anyOf", "oneOf", "not"))


def _junctors(value: Any, raw: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for part in raw.get("allOf") or ():
        yield from _node(value, _partial(part), path)
    if raw.get("anyOf") and not any(_holds(value, part) for part in raw["anyOf"]):
        yield fields.invalid("<nil>", "", f'"{path}" must validate at least one schema (anyOf)')
    if raw.get("oneOf"):
        count = sum(_holds(value, part) for part in raw["oneOf"])
        if count != 1:
            found = "none valid" if count == 0 else f"{count} valid alternatives"
            detail = f'"{path}" must validate one and only one schema (oneOf). Found {found}'
            yield fields.invalid("<nil>", "", detail)
    if raw.get("not") and _holds(value, raw["not"]):
        yield fields.invalid("<nil>", "", f'"{path}" must not validate the schema (not)')


def _holds(value: Any, raw: Mapping[str, Any]) -> bool:
    return next(_node(value, _partial(raw), ""), None) is None


def _partial(raw: Mapping[str, Any]) -> Schema:
    """A schema inside of a junctor: it constrains values and declares no types."""
    items, additional = raw.get("items"), raw.get("additionalProperties")
    return Schema(
        type=raw.get("type", ""),
        properties={name: _partial(item) for name, item in (raw.get("properties") or {}).items()},
        items=_partial(items) if isinstance(items, Mapping) else None,
        additional=_partial(additional) if isinstance(additional, Mapping) else None,
        nullable=True,
        required=tuple(raw.get("required") or ()),
        raw=raw,
    )
