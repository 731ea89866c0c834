"""The work queue: once each, never two at a time, growing delays."""

from __future__ import annotations

import asyncio

from nerv.controllers.runtime import VirtualClock, WorkQueue


async def test_a_key_added_often_comes_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await queue.get() == "a"
    queue.done("a")
    assert not queue.busy


async def test_the_earliest_moment_counts() -> None:
    clock = VirtualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 2)
    queue.add_after("a", 5)
    clock.advance(1.9)
    assert len(queue) == 0
    clock.advance(0.2)
    assert await queue.get() == "a"
    queue.done("a")
    clock.advance(20)
    assert len(queue) == 0


async def test_failures_wait_longer_each_time_until_forgotten() -> None:
    clock = VirtualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    delays = []
    for _ in range(4):
        delays.append(queue.add_rate_limited("a"))
        clock.advance(delays[-1])
        queue.done(await queue.get())
    assert delays == [0.005, 0.01, 0.02, 0.04]
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.005
    queue.close()


async def test_the_delay_has_an_end() -> None:
    clock = VirtualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    for _ in range(100):
        last = queue.add_rate_limited("a")
        clock.advance(last)
    assert last == 1000.0


async def test_a_cancelled_waiter_does_not_swallow_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(1):
        assert await second == "a"
    assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError
