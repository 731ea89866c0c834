"""The work queue of a controller: every key once, never two at a time for one key, failures with growing delays.

The rules are client-go's: a key added while it is worked on is handed out again afterwards; a delayed key keeps its
earliest moment; the n-th failure in a row waits 5 ms * 2^n, at most 1000 s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from nerv.controllers.runtime.clock import Clock, SystemClock, Timer

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys waiting for a worker. `first_delay` and `last_delay` (seconds) bound the back-off."""

    def __init__(self, clock: Clock | None = None, *, first_delay: float = 0.005, last_delay: float = 1000.0) -> None:
        self._clock = clock or SystemClock()
        self._first_delay = first_delay
        self._last_delay = last_delay
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._active: set[K] = set()
        self._timers: dict[K, tuple[float, Timer]] = {}
        self._failures: dict[K, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        """Keys that wait for a worker now; delayed ones are not counted."""
        return len(self._ready)

    @property
    def busy(self) -> bool:
        """Whether a key waits or is worked on."""
        return bool(self._dirty or self._active)

    def add(self, key: K) -> None:
        """Hand the key out as soon as a worker is free, once however often it was added before."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._active:
            self._offer(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add the key once `seconds` have passed; an earlier moment asked for before stays."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        planned = self._timers.get(key)
        if planned:
            if planned[0] <= due:
                return
            planned[1].cancel()
        self._timers[key] = (due, self._clock.call_later(seconds, lambda: self._due(key)))

    def add_rate_limited(self, key: K) -> float:
        """Add the key after its back-off and count one more failure. Returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._first_delay * 2.0 ** min(failures, 60), self._last_delay)
        self.add_after(key, delay)
        return delay

    def failures(self, key: K) -> int:
        """Failures in a row so far."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key succeeded: its back-off starts anew."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; the caller must say `done` for it."""
        while not self._ready:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # the wake-up may have been spent on this waiter: pass it on
                if waiter.done() and not waiter.cancelled():
                    self._wake()
                raise
            finally:
                if not waiter.done():
                    waiter.cancel()
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._active.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on the key ended; if it was added meanwhile it is handed out again."""
        self._active.discard(key)
        if key in self._dirty:
            self._offer(key)

    def close(self) -> None:
        """Take back every timer."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _offer(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
