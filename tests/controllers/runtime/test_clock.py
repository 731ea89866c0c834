"""The virtual clock."""

from __future__ import annotations

from nerv.controllers.runtime import VirtualClock


def test_calls_are_made_in_order_at_their_moment() -> None:
    clock = VirtualClock()
    begun = clock.now()
    seen: list[tuple[str, float]] = []

    def first() -> None:
        seen.append(("first", (clock.now() - begun).total_seconds()))
        clock.call_later(1, lambda: seen.append(("nested", clock.monotonic())))

    clock.call_later(5, lambda: seen.append(("last", clock.monotonic())))
    clock.call_later(2, first)
    clock.call_later(3, lambda: seen.append(("never", 0))).cancel()
    clock.advance(4)
    assert seen == [("first", 2.0), ("nested", 3.0)]
    assert clock.monotonic() == 4
    clock.advance(1)
    assert seen[-1] == ("last", 5.0)
