"""JSON into typed fields as strictly as the API server's own decoder, in its words. Pure.

Unknown fields are dropped, null is as if it were absent; a value of another type is refused, nothing is coerced.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nerv.apiserver.webhooks.failures import CallFailed

_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=\r\n]")


@dataclass(frozen=True)
class Place:
    """Where a value stands: the fields that lead to it, and the structure that has the last of them."""

    path: str = ""
    structure: str | None = None

    def refuse(self, got: str, wanted: str) -> CallFailed:
        where = "Go value" if self.structure is None else f"Go struct field {self.structure}.{self.path}"
        return CallFailed(f"json: cannot unmarshal {got} into {where} of type {wanted}")


@dataclass(frozen=True)
class Scalar:
    """A string, truth value or whole number; `go` is its name in messages."""

    go: str
    python: type = str
    bits: int = 0

    @property
    def absent(self) -> Any:
        return self.python()

    def decode(self, value: Any, place: Place) -> Any:
        if type(value) is self.python and self._fits(value):
            return value
        got = _kind(value)
        raise place.refuse(f"number {value}" if got == "number" and self.python is int else got, self.go)

    def _fits(self, value: Any) -> bool:
        return self.python is not int or -(1 << self.bits - 1) <= value < 1 << self.bits - 1


@dataclass(frozen=True)
class Structure:
    """An object with known fields. `name` is how messages about its fields call it."""

    go: str
    name: str
    fields: Mapping[str, Field]

    @property
    def absent(self) -> Any:
        return {}

    def decode(self, value: Any, place: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise place.refuse(_kind(value), self.go)
        start = f"{place.path}." if place.path else ""
        return {
            name: self.fields[name].decode(found, Place(f"{start}{name}", self.name))
            for name, found in value.items()
            if name in self.fields and found is not None
        }


@dataclass(frozen=True)
class ListOf:
    """A list of one type."""

    item: Field
    go: str
    absent = ()

    def decode(self, value: Any, place: Place) -> list[Any]:
        if not isinstance(value, list):
            raise place.refuse(_kind(value), self.go)
        return [self.item.absent if each is None else self.item.decode(each, place) for each in value]


@dataclass(frozen=True)
class MapOf:
    """An object with any names and values of one type."""

    item: Field
    go: str
    absent = ()

    def decode(self, value: Any, place: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise place.refuse(_kind(value), self.go)
        return {
            name: self.item.absent if each is None else self.item.decode(each, place) for name, each in value.items()
        }


@dataclass(frozen=True)
class Bytes:
    """Text in base64."""

    go: str = "[]uint8"
    absent = b""

    def decode(self, value: Any, place: Place) -> bytes:
        if value == []:
            return b""
        if not isinstance(value, str):
            raise place.refuse(_kind(value), self.go)
        wrong = _NO_BASE64.search(value)
        try:
            if wrong is None:
                return base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
        except binascii.Error:
            pass
        raise CallFailed(f"illegal base64 data at input byte {wrong.start() if wrong else len(value)}")


@dataclass(frozen=True)
class Anything:
    """What is taken as it is."""

    absent = None

    def decode(self, value: Any, place: Place) -> Any:
        return value


Field = Scalar | Structure | ListOf | MapOf | Bytes | Anything


def _kind(value: Any) -> str:
    """What a message calls a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "number" if isinstance(value, int | float) else "object"
