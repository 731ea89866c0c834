"""Kubernetes' protobuf bodies to JSON objects: what kubectl and Helm send for builtin kinds.

A body is the four bytes `k8s\\0` and a `runtime.Unknown` with apiVersion, kind and the message. The table
`data/protobuf-1.31.json` maps each message to its fields: number -> [JSON name, type, flags]. Go writes a field that is
no pointer even when it is empty, so zero values are dropped unless the field is a pointer or always written to JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

from nerv.kube.objects import Object, split_api_version

MAGIC: Final = b"k8s\0"

_NUMBERS: Final = ("int32", "int64", "bool")
_LIST, _MAP, _INLINE, _KEEP_ZERO = 1, 2, 4, 8
_GROUP_FOLDERS: Final = {"": "core"}


class ProtobufError(ValueError):
    """A body that is not Kubernetes' protobuf, or of a kind that is not in the table."""


@cache
def _messages() -> dict[str, dict[str, list[Any]]]:
    text = files("nerv.kube").joinpath("data", "protobuf-1.31.json").read_bytes()
    found: dict[str, dict[str, list[Any]]] = orjson.loads(text)
    return found


def decode(body: bytes) -> Object:
    """The object of a body. Raises ProtobufError."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        return _decode(memoryview(body)[len(MAGIC) :])
    except ProtobufError:
        raise
    except (IndexError, OverflowError, ValueError) as error:
        raise ProtobufError(f"the protobuf body is damaged: {error}") from None


def _decode(data: memoryview) -> Object:
    envelope = _texts_by_number(data)
    meta = _texts_by_number(envelope.get(1, memoryview(b"")))
    api_version, kind = (bytes(meta.get(number, b"")).decode() for number in (1, 2))
    raw = envelope.get(2, memoryview(b""))
    if bytes(envelope.get(4, b"")) == b"application/json":
        embedded: Object = orjson.loads(raw)
        return embedded
    message: Object = _message(raw, _message_name(api_version, kind))
    return {"apiVersion": api_version, "kind": kind} | message


def _texts_by_number(data: memoryview) -> dict[int, memoryview]:
    """The fields of a message that has texts and messages alone; others are not meant for us."""
    return {number: value for number, wire, value in _fields(data) if wire == 2}


def _message_name(api_version: str, kind: str) -> str:
    """DeleteOptions and the like live in the meta group whatever group they are sent for."""
    group, version = split_api_version(api_version)
    folder = _GROUP_FOLDERS.get(group) or group.partition(".")[0]
    for name in (f"{folder}.{version}.{kind}", f"meta.v1.{kind}"):
        if name in _messages():
            return name
    raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}" in protobuf')


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Field number, wire type and raw value of each field. Raises IndexError at a cut."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield tag >> 3, wire, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise IndexError(f"unknown wire type {wire}")
        if position + length > end:
            raise IndexError("unexpected end of data")
        yield tag >> 3, wire, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
        if shift > 63:
            raise IndexError("a number is too long")


def _message(data: memoryview, name: str) -> Any:
    special = _SPECIAL.get(name)
    if special is not None:
        return special(data)
    table = _messages()[name]
    result: Object = {}
    for number, wire, value in _fields(data):
        field = table.get(str(number))
        if field is None:
            continue  # a field newer than 1.31
        json_name, kind, flags = field
        if wire != (0 if kind in _NUMBERS and not flags & _MAP else 2) and not (wire == 2 and flags & _LIST):
            raise IndexError(f"wire type {wire} for {name}.{json_name}")
        if flags & _MAP:
            key, item = _entry(value, kind)
            result.setdefault(json_name, {})[key] = item
        elif flags & _LIST:
            items = result.setdefault(json_name, [])
            packed = wire == 2 and kind in _NUMBERS
            items.extend(_packed(value, kind) if packed else [_value(value, kind)])
        else:
            plain = _value(value, kind)
            if flags & _INLINE:
                result |= plain
            elif plain is not None and (flags & _KEEP_ZERO or plain or _is_number(plain, kind)):
                result[json_name] = plain
    return result


def _is_number(value: Any, kind: str) -> bool:
    """A zero that a special message means (an IntOrString of 0, say) is a value of its own."""
    return kind in _SPECIAL and isinstance(value, int) and not isinstance(value, bool)


def _value(value: Any, kind: str) -> Any:
    if kind == "string":
        return bytes(value).decode()
    if kind in ("int32", "int64"):
        return _signed(value)
    if kind == "bool":
        return bool(value)
    if kind == "bytes":
        return base64.b64encode(value).decode()
    return _message(value, kind)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _packed(data: memoryview, kind: str) -> Iterator[Any]:
    position = 0
    while position < len(data):
        number, position = _varint(data, position)
        yield _value(number, kind)


def _entry(data: memoryview, kind: str) -> tuple[str, Any]:
    """A map's entry: an empty key or value may be left out on the wire."""
    key, item = "", _EMPTY.get(kind)
    for number, wire, value in _fields(data):
        if number == 1 and wire == 2:
            key = bytes(value).decode()
        elif number == 2 and wire == (0 if kind in _NUMBERS else 2):
            item = _value(value, kind)
    return key, item


_EMPTY: Final[dict[str, Any]] = {"string": "", "bytes": "", "int32": 0, "int64": 0, "bool": False}


def _numbers(data: memoryview) -> dict[int, int]:
    return {number: _signed(value) for number, wire, value in _fields(data) if wire == 0}


def _int_or_string(data: memoryview) -> int | str:
    found = _numbers(data)
    return bytes(_texts_by_number(data).get(3, b"")).decode() if found.get(1) else found.get(2, 0)


def _quantity(data: memoryview) -> str:
    return bytes(_texts_by_number(data).get(1, b"")).decode()


def _time(data: memoryview) -> str | None:
    """The zero time is sent as nothing at all or as the year 1."""
    seconds = _numbers(data).get(1, 0)
    if not data or seconds < -62_000_000_000:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(data: memoryview) -> str | None:
    found = _numbers(data)
    if not data or found.get(1, 0) < -62_000_000_000:
        return None
    moment = datetime.fromtimestamp(found.get(1, 0), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{found.get(2, 0) // 1000:06d}Z"


def _duration(data: memoryview) -> str:
    return f"{_numbers(data).get(1, 0) / 1e9:g}s"


def _json(data: memoryview) -> Any:
    raw = _texts_by_number(data).get(1)
    return orjson.loads(raw) if raw else None


def _texts(data: memoryview) -> list[str]:
    return [bytes(value).decode() for number, wire, value in _fields(data) if number == 1 and wire == 2]


_SPECIAL: Final[dict[str, Callable[[memoryview], Any]]] = {
    "util.intstr.IntOrString": _int_or_string,
    "api.resource.Quantity": _quantity,
    "meta.v1.Time": _time,
    "meta.v1.MicroTime": _micro_time,
    "meta.v1.Duration": _duration,
    "meta.v1.FieldsV1": _json,
    "meta.v1.Verbs": _texts,
    "runtime.RawExtension": _json,
    "authentication.v1.ExtraValue": _texts,
    "authorization.v1.ExtraValue": _texts,
    "certificates.v1.ExtraValue": _texts,
}
