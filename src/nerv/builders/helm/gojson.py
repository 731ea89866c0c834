"""JSON as Go's encoder writes it, byte for byte: Flux's digests of releases are taken over such text.

Differences to other writers: `<`, `>`, `&`, U+2028 and U+2029 are escaped, floats have Go's exponent form, and
`json.Encoder` ends with a line feed. Structs keep their field order (the caller's dictionaries), maps are sorted.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

_ESCAPES = str.maketrans({letter: f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"})


class Map(dict[str, Any]):
    """A Go map: written with its keys sorted, unlike a struct. Nested dictionaries below it are maps as well."""


def dumps(value: Any) -> str:
    """The text of a value; plain dictionaries are structs, `Map` and everything below it maps."""
    parts: list[str] = []
    _write(value, parts.append, False)
    return "".join(parts)


def _write(value: Any, emit: Any, in_map: bool) -> None:
    if isinstance(value, dict):
        is_map = in_map or isinstance(value, Map)
        # Go compares keys as UTF-8 bytes, which is the order of code points
        items = sorted(value.items()) if is_map else value.items()
        emit("{")
        for position, (name, item) in enumerate(items):
            emit("," if position else "")
            emit(_text(name))
            emit(":")
            _write(item, emit, is_map)
        emit("}")
    elif isinstance(value, (list, tuple)):
        emit("[")
        for position, item in enumerate(value):
            emit("," if position else "")
            _write(item, emit, in_map)
        emit("]")
    else:
        emit(_scalar(value))


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return number(value)
    return json.dumps(value)


def _text(value: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.translate(_ESCAPES)


def number(value: float) -> str:
    """A float64 as encoding/json writes it: shortest form, exponents only below 1e-6 and from 1e21 on."""
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    magnitude = abs(value)
    if magnitude < 1e-6 or magnitude >= 1e21:
        # such magnitudes always have an exponent in repr
        mantissa, _, exponent = repr(value).partition("e")
        sign = "-" if exponent.startswith("-") else "+"
        digits = exponent.lstrip("+-").lstrip("0").zfill(1 if sign == "-" else 2)
        return f"{mantissa.removesuffix('.0')}e{sign}{digits}"
    if value.is_integer():
        return str(int(value))
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text
