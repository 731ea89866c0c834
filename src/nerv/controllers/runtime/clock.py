"""Time as a value that is handed in: the system's, or a virtual one that moves only when told.

`now()` is the wall clock (aware, UTC), `monotonic()` seconds that never go back, `call_later` the one kind of timer.
"""

from __future__ import annotations

import asyncio
import datetime
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due later and can be taken back."""

    def cancel(self) -> None:
        """Never call; calling it again, or after the call was made, changes nothing."""


class Clock(Protocol):
    """What reconcilers know of time."""

    def now(self) -> datetime.datetime:
        """The wall clock, aware and in UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never going back."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` in the event loop once `seconds` have passed."""


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    def now(self) -> datetime.datetime:
        """The wall clock in UTC."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """The system's monotonic clock."""
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """A timer of the running event loop."""
        return asyncio.get_running_loop().call_later(max(seconds, 0), callback)


class VirtualTimer:
    """A timer of a `VirtualClock`."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call."""
        self.callback = None


class VirtualClock:
    """A clock that stands still until `advance` moves it; for tests and drills of behaviour that takes hours."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        self._start = start or datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()

    def now(self) -> datetime.datetime:
        """The start plus everything advanced so far."""
        return self._start + datetime.timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._elapsed

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Remember the call; it is made inside the `advance` that reaches its moment."""
        timer = VirtualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed + max(seconds, 0), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move on, making every call that falls due on the way, in order, with the clock at its very moment."""
        target = self._elapsed + seconds
        while self._timers and self._timers[0][0] <= target:
            moment, _, timer = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, moment)
            if timer.callback:
                timer.callback()
        self._elapsed = target
