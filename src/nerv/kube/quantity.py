"""Quantities (`100m`, `1.5Gi`, `2e3`): exact values and the canonical text that the API server writes.

Rule of the canonical form: the family of the suffix stays (binary, decimal, exponent), the number is a whole one, and
the suffix is the largest that allows it. Values finer than nano are rounded up.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

_PATTERN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+|)$")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BINARY_SCALE = {suffix: Fraction(1024) ** power for suffix, power in _BINARY.items()} | {"": Fraction(1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Fraction, str]:
    match = _PATTERN.match(text)
    if not match:
        raise ValueError(_ERROR)
    number, suffix = Fraction(match[1]), match[2]
    if suffix in _BINARY:
        value, family = number * 1024 ** _BINARY[suffix], "binary"
    elif suffix in _DECIMAL:
        value, family = number * Fraction(10) ** _DECIMAL[suffix], "decimal"
    else:
        value, family = number * Fraction(10) ** int(suffix[1:]), "exponent"
    nano = value * 10**9
    if nano.denominator != 1:
        rounded = math.ceil(abs(nano))
        value = Fraction(rounded if nano > 0 else -rounded, 10**9)
    return value, family


def parse(value: str | int | float) -> Fraction:
    """The exact value. Raises ValueError with the API server's wording."""
    return _parse(str(value))[0]


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    value, family = _parse(text)
    if family == "binary":
        if value.denominator == 1 and abs(value) >= 1024:
            return _format(value, _BINARY_SCALE)
        if value.denominator == 1:
            return str(value)
    scale = {
        (f"e{power}" if family == "exponent" and power else suffix): Fraction(10) ** power
        for suffix, power in _DECIMAL.items()
    }
    return _format(value, scale)


def _format(value: Fraction, scale: dict[str, Fraction]) -> str:
    if value == 0:
        return "0"
    for suffix, unit in sorted(scale.items(), key=lambda item: -item[1]):
        quotient = value / unit
        if quotient.denominator == 1:
            return f"{quotient}{suffix}"
    raise AssertionError("a value of whole nanos fits the smallest unit")


def canonical(value: str | int | float) -> str:
    """`1000m` to `1`, `0.5` to `500m`, `1024Mi` to `1Gi`. Raises ValueError."""
    return _canonical(str(value))


def binary(number: int) -> str:
    """A number of bytes as storage is written: `2147483648` as `2Gi`."""
    return _format(Fraction(number), _BINARY_SCALE)


def to_int(value: str | int | float) -> int:
    """Whole units, rounded up as Kubernetes does (`Value()`). Raises ValueError."""
    return math.ceil(parse(value))


def to_milli(value: str | int | float) -> int:
    """Thousandths, rounded up (`MilliValue()`), for CPU. Raises ValueError."""
    return math.ceil(parse(value) * 1000)
