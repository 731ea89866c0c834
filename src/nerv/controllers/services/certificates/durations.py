"""Go durations (`2160h0m0s`) and what cert-manager makes of them. Pure."""

from __future__ import annotations

import datetime
import re

from nerv.kube.objects import Object

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

DEFAULT = datetime.timedelta(days=90)
SHORTEST = datetime.timedelta(hours=1)
SHORTEST_RENEW_BEFORE = datetime.timedelta(minutes=5)


def parse(text: str) -> datetime.timedelta:
    """Raises ValueError for what is no Go duration; "90d" is none."""
    position = 0
    seconds = 0.0
    for part in _PART.finditer(text):
        if part.start() != position:
            break
        seconds += float(part.group(1)) * _SECONDS[part.group(2)]
        position = part.end()
    if not text or position != len(text):
        raise ValueError(f'time: invalid duration "{text}"')
    return datetime.timedelta(seconds=seconds)


def write(value: datetime.timedelta) -> str:
    """As Go prints it: `2160h0m0s`, `5m0s`, `30s`."""
    seconds = int(value.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def wanted(spec: Object) -> datetime.timedelta:
    """How long a certificate is to live."""
    return parse(spec["duration"]) if spec.get("duration") else DEFAULT


def renewal(spec: Object, not_before: datetime.datetime, not_after: datetime.datetime) -> datetime.datetime:
    """When to renew: after two thirds of the real lifetime unless the Certificate says otherwise."""
    lifetime = not_after - not_before
    before = lifetime / 3
    if spec.get("renewBefore") and parse(spec["renewBefore"]) < lifetime:
        before = parse(spec["renewBefore"])
    elif spec.get("renewBeforePercentage"):
        before = lifetime * spec["renewBeforePercentage"] / 100
    return (not_after - before).replace(microsecond=0)
