"""Quantities and their canonical text (values checked against a real API server's answers)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv.kube import quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Mi", "1000Mi"),
        ("1e3", "1e3"),
        ("12e2", "1200"),
        ("1000k", "1M"),
        ("0", "0"),
        ("0.1Ki", "102400m"),
        ("128974848", "128974848"),
        (".5Gi", "512Mi"),
        ("-1.5", "-1500m"),
        ("1.0000000001", "1000000001n"),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["", "1.5.5", "1GB", "abc", "1 Gi", "1gi", "--1"])
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(text)


def test_numbers() -> None:
    assert quantity.parse("100m") == Fraction(1, 10)
    assert quantity.parse(2) == 2
    assert quantity.to_int("1500m") == 2
    assert quantity.to_milli("0.25") == 250
    assert quantity.to_int("1Gi") == 2**30


@given(st.integers(-(10**6), 10**6), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "u", "e3"]))
def test_canonical_keeps_the_value_and_is_stable(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    canonical = quantity.canonical(text)
    assert quantity.parse(canonical) == quantity.parse(text)
    assert quantity.canonical(canonical) == canonical


@pytest.mark.parametrize(
    ("number", "text"),
    [(2147483648, "2Gi"), (1610612736, "1536Mi"), (1023, "1023"), (1025, "1025"), (0, "0"), (2**60, "1Ei")],
)
def test_a_size_in_bytes_is_written_with_a_binary_suffix(number: int, text: str) -> None:
    assert quantity.binary(number) == text


@given(st.integers(0, 2**70))
def test_a_binary_size_keeps_its_value(number: int) -> None:
    assert quantity.to_int(quantity.binary(number)) == number
