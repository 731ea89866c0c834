"""Durations as Go writes them: `1m0s`, `500ms`, `1h30m`. Pure."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)")


def parse(text: str) -> float:
    """Seconds of a Go duration. Raises ValueError."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"time: invalid duration {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def text(seconds: float) -> str:
    """Seconds as Go prints a duration."""
    if seconds == 0:
        return "0s"
    if seconds < 1e-3:
        return f"{_trimmed(seconds * 1e6)}µs"
    if seconds < 1:
        return f"{_trimmed(seconds * 1e3)}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    shown = f"{_trimmed(rest)}s"
    if hours:
        return f"{int(hours)}h{int(minutes)}m{shown}"
    return f"{int(minutes)}m{shown}" if minutes else shown


def _trimmed(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".") or "0"
