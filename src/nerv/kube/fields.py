"""Errors of fields in the API server's words, and the causes of a 422 answer that they become.

spec.replicas: Invalid value: -1: must be greater than or equal to 0
spec.selector: Required value
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
TYPE_INVALID = "FieldValueTypeInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
NOT_FOUND = "FieldValueNotFound"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
IMMUTABLE = "field is immutable"


@dataclass(frozen=True)
class FieldError:
    """One field that is wrong. `reason` is the machine-readable cause, `text` the message without the field's path."""

    field: str
    reason: str
    text: str

    @property
    def message(self) -> str:
        """Path and text, as it stands in the message of a Status."""
        return f"{self.field}: {self.text}"

    def cause(self) -> dict[str, str]:
        """The entry of `details.causes` of a Status."""
        return {"reason": self.reason, "message": self.text, "field": self.field}


def required(field: str, detail: str = "") -> FieldError:
    """The field is missing or empty."""
    return FieldError(field, REQUIRED, f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """The value is of the right type and not allowed."""
    return FieldError(field, INVALID, f"Invalid value: {show(value)}: {detail}")


def type_invalid(field: str, value: Any, detail: str) -> FieldError:
    """The value is of a wrong type."""
    return FieldError(field, TYPE_INVALID, f"Invalid value: {show(value)}: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[Any]) -> FieldError:
    """The value is not one of an enumeration."""
    choices = ", ".join(show(item) for item in supported)
    return FieldError(field, NOT_SUPPORTED, f"Unsupported value: {show(value)}: supported values: {choices}")


def duplicate(field: str, value: Any) -> FieldError:
    """The value must be unique and is not."""
    return FieldError(field, DUPLICATE, f"Duplicate value: {show(value)}")


def forbidden(field: str, detail: str) -> FieldError:
    """The field may not be set, or not be changed."""
    return FieldError(field, FORBIDDEN, f"Forbidden: {detail}")


def not_found(field: str, value: Any) -> FieldError:
    """The value names something that does not exist."""
    return FieldError(field, NOT_FOUND, f"Not found: {show(value)}")


def too_long(field: str, limit: int) -> FieldError:
    """The text is longer than `limit` bytes."""
    return FieldError(field, TOO_LONG, f"Too long: must have at most {limit} byte{'' if limit == 1 else 's'}")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    """The list has more than `limit` items."""
    return FieldError(field, TOO_MANY, f"Too many: {actual}: must have at most {limit} item{'' if limit == 1 else 's'}")


class Strings(list[str]):
    """A list of texts that the server shows in Go's form: `[]string{"a"}`."""


def show(value: Any) -> str:
    """A value as the API server quotes it in messages."""
    if isinstance(value, Strings):
        return f"[]string{{{', '.join(show(item) for item in value)}}}"
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    return str(value)


def summary(errors: Sequence[FieldError]) -> str:
    """One error as it is, several in brackets, each once: the tail of `... is invalid: `."""
    messages = list(dict.fromkeys(error.message for error in errors))
    return messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"


def child(path: str, name: str) -> str:
    """`spec` and `replicas` to `spec.replicas`; an empty path is the root."""
    return f"{path}.{name}" if path else name


def key(path: str, name: str) -> str:
    """`data` and `a.b` to `data[a.b]`: the key of a map."""
    return f"{path}[{name}]"


def index(path: str, position: int) -> str:
    """`spec.ports` and 1 to `spec.ports[1]`."""
    return f"{path}[{position}]"
