"""Durations as kubectl prints them (the steps of `duration.HumanDuration`)."""

from datetime import UTC, datetime

import pytest

from nerv.kube import tables

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (9 * _MINUTE + 59, "9m59s"),
        (10 * _MINUTE + 30, "10m"),
        (179 * _MINUTE, "179m"),
        (3 * _HOUR, "3h"),
        (3 * _HOUR + 5 * _MINUTE, "3h5m"),
        (8 * _HOUR + 5 * _MINUTE, "8h"),
        (47 * _HOUR, "47h"),
        (2 * _DAY, "2d"),
        (2 * _DAY + _HOUR, "2d1h"),
        (8 * _DAY + _HOUR, "8d"),
        (729 * _DAY, "729d"),
        (730 * _DAY, "2y"),
        (731 * _DAY, "2y1d"),
        (8 * 365 * _DAY + _DAY, "8y"),
    ],
)
def test_human(seconds: int, text: str) -> None:
    assert tables.human(seconds) == text


def test_since() -> None:
    now = datetime(2025, 7, 1, 12, 5, tzinfo=UTC)
    assert tables.since("2025-07-01T12:00:00Z", now) == "5m"
    assert tables.since(None, now) == "<unknown>"
    assert tables.since("soon", now) == "<invalid>"
    assert tables.since("2025-07-01T13:00:00Z", now) == "<invalid>"
