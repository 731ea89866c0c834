"""Times as kubectl prints them in tables: `5m32s`, `3d4h`, `2y`."""

from __future__ import annotations

from datetime import datetime

from nerv.kube.objects import Object, metadata, parse_time

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def human(seconds: float) -> str:
    """A duration, finer the shorter it is."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def _two(whole: int, unit: int, name: str, smaller: int, smaller_name: str) -> str:
    rest = whole % unit // smaller
    return f"{whole // unit}{name}{rest}{smaller_name}" if rest else f"{whole // unit}{name}"


def since(text: str | None, now: datetime) -> str:
    """The age of an RFC 3339 time: `<unknown>` when missing, `<invalid>` when it is no time or in the future."""
    if not text:
        return "<unknown>"
    try:
        return human((now - parse_time(text)).total_seconds())
    except ValueError:
        return "<invalid>"


def age(obj: Object, now: datetime) -> str:
    """Since the object's creation."""
    return since(metadata(obj).get("creationTimestamp"), now)
