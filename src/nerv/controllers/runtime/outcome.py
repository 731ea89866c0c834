"""What a reconciliation ended with, and so when its key comes back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """Nothing more to do until a watched object changes."""


@dataclass(frozen=True)
class RetryAfter:
    """Come back in `seconds`, sooner if a watched object changes. Not a failure: the back-off starts anew."""

    seconds: float


@dataclass(frozen=True)
class Requeue:
    """Come back after the key's back-off, as after an exception but without a word in the log."""


Outcome = Done | RetryAfter | Requeue
