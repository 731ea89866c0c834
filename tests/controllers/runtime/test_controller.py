"""Controllers and events against the real API server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from nerv.controllers.runtime import (
    Controller,
    Done,
    EventRecorder,
    Informers,
    Key,
    Outcome,
    Requeue,
    RetryAfter,
    VirtualClock,
    Watch,
)
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, EVENTS


@pytest.fixture
async def informers(client: Client) -> AsyncIterator[Informers]:
    shared = Informers(client)
    yield shared
    await shared.stop()


async def quiet(controller: Controller) -> None:
    """Wait until the controller has nothing to do."""
    idle = 0
    while idle < 10:
        await asyncio.sleep(0.002)
        idle = 0 if controller.busy else idle + 1


def config_map(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


async def test_reconciles_what_is_there_and_what_comes(client: Client, informers: Informers) -> None:
    seen: list[Key] = []

    async def reconcile(key: Key) -> Outcome:
        seen.append(key)
        return Done()

    await client.create(CONFIG_MAPS, config_map("a"), namespace="default")
    informer = informers.of(CONFIG_MAPS, "default")
    controller = Controller("test", reconcile, (Watch(informer),))
    task = asyncio.create_task(controller.run())
    await informer.synced.wait()
    await quiet(controller)
    await client.create(CONFIG_MAPS, config_map("b"), namespace="default")
    await client.delete(CONFIG_MAPS, "a", "default")
    while len(seen) < 3:
        await quiet(controller)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [Key("default", "a"), Key("default", "b"), Key("default", "a")]


async def test_one_key_is_never_worked_on_twice_at_once() -> None:
    running: set[Key] = set()
    most = 0
    release = asyncio.Event()

    async def reconcile(key: Key) -> Outcome:
        nonlocal most
        assert key not in running
        running.add(key)
        most = max(most, len(running))
        await release.wait()
        running.discard(key)
        return Done()

    controller = Controller("test", reconcile, (), concurrency=3)
    task = asyncio.create_task(controller.run())
    for name in ("a", "b", "c", "d", "a"):
        controller.queue.add(Key("", name))
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    controller.queue.add(Key("", "a"))
    release.set()
    await quiet(controller)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert most == 3


async def test_outcomes_and_failures_decide_when_a_key_returns(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    moments: list[float] = []
    script: list[Outcome | Exception] = [RetryAfter(30), ValueError("broken"), Requeue(), Done()]

    async def reconcile(key: Key) -> Outcome:
        moments.append(clock.monotonic())
        step = script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    controller = Controller("test", reconcile, (), clock=clock)
    task = asyncio.create_task(controller.run())
    controller.queue.add(Key("ns", "a"))
    await quiet(controller)
    for seconds in (30.0, 0.005, 0.01, 100.0):
        clock.advance(seconds)
        await quiet(controller)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert moments == pytest.approx([0.0, 30.0, 30.005, 30.015])
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.getMessage() == "test: [ns/a] ValueError: broken, next try in 0.005 s"


async def test_events_of_one_kind_are_counted(client: Client) -> None:
    clock = VirtualClock()
    recorder = EventRecorder(client, "tester", clock)
    obj = await client.create(CONFIG_MAPS, config_map("a"), namespace="default")
    recorder.event(obj, "Normal", "Seen", "it is there", {"example.com/revision": "1"})
    await recorder.flush()
    clock.advance(60)
    recorder.event(obj, "Normal", "Seen", "it is there")
    recorder.event(obj, "Warning", "Seen", "something else")
    await recorder.flush()
    events = sorted((await client.list(EVENTS, "default")).items, key=lambda event: event["type"])
    assert [(event["type"], event["count"], event["message"]) for event in events] == [
        ("Normal", 2, "it is there"),
        ("Warning", 1, "something else"),
    ]
    first = events[0]
    assert first["involvedObject"]["uid"] == obj["metadata"]["uid"]
    assert first["involvedObject"]["kind"] == "ConfigMap"
    assert first["metadata"]["name"].startswith("a.")
    assert first["metadata"]["annotations"] == {"example.com/revision": "1"}
    assert (first["firstTimestamp"], first["lastTimestamp"]) == ("2025-06-01T00:00:00Z", "2025-06-01T00:01:00Z")
    assert first["source"] == {"component": "tester"}


async def test_an_event_that_cannot_be_written_harms_nobody(client: Client) -> None:
    recorder = EventRecorder(client, "tester")
    lost = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "no-such-namespace"}}
    recorder.event(lost, "Normal", "Seen", "nobody will know")
    await recorder.flush()
    assert (await client.list(EVENTS)).items == []
