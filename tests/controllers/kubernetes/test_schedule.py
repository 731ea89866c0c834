"""Cron schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nerv.controllers.kubernetes.cronjob import schedule

NOON = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", datetime(2025, 6, 1, 12, 1, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2025, 6, 1, 12, 15, tzinfo=UTC)),
        ("5/20 * * * *", datetime(2025, 6, 1, 12, 5, tzinfo=UTC)),
        ("0 3 * * *", datetime(2025, 6, 2, 3, 0, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 0 * * mon-wed", datetime(2025, 6, 2, tzinfo=UTC)),
        ("0 0 13 * fri", datetime(2025, 6, 6, tzinfo=UTC)),
        ("30 6 1,15 jan *", datetime(2026, 1, 1, 6, 30, tzinfo=UTC)),
        ("@daily", datetime(2025, 6, 2, tzinfo=UTC)),
        ("@weekly", datetime(2025, 6, 8, tzinfo=UTC)),
        ("@every 1h30m", NOON + timedelta(hours=1, minutes=30)),
    ],
)
def test_next_moment(text: str, expected: datetime) -> None:
    assert schedule.parse(text).after(NOON) == expected


def test_never() -> None:
    assert schedule.parse("0 0 31 2 *").after(NOON) is None


def test_time_zone_and_the_hour_that_summer_time_skips() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    plan = schedule.parse("30 2 * * *", berlin)
    before = datetime(2025, 3, 29, 12, 0, tzinfo=UTC)
    assert plan.after(before) == datetime(2025, 3, 31, 2, 30, tzinfo=berlin)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("* * * *", "expected exactly 5 fields, found 4"),
        ("61 * * * *", r"end of range \(61\) above maximum \(59\): 61"),
        ("* * 0 * *", r"beginning of range \(0\) below minimum \(1\): 0"),
        ("*/0 * * * *", "step of range should be a positive number"),
        ("a * * * *", "failed to parse int from a"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", "failed to parse duration @every soon"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule.parse(text)
