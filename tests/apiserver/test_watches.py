"""Watches: order, selectors, history, bookmarks, WatchList."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from tests.support.apiserver import running

from nerv.apiserver.identity import ADMIN
from nerv.kube import errors
from nerv.kube.client import Client, WatchEvent
from nerv.kube.resources import CONFIG_MAPS


async def create(client: Client, name: str, **labels: str) -> dict:
    meta = {"name": name, "namespace": "default", "labels": labels}
    return await client.create(CONFIG_MAPS, {"metadata": meta, "data": {}})


async def take(events, count: int) -> list[tuple[str, str]]:
    taken: list[tuple[str, str]] = []
    async for event in events:
        taken.append((event.type, event.object["metadata"].get("name", "")))
        if len(taken) == count:
            break
    return taken


async def test_changes_come_in_order(client: Client) -> None:
    start = (await client.list(CONFIG_MAPS, "default")).resource_version
    async with aclosing(client.watch(CONFIG_MAPS, "default", resource_version=start)) as events:
        await create(client, "a")
        await client.patch(CONFIG_MAPS, "a", "default", {"data": {"x": "1"}})
        await client.delete(CONFIG_MAPS, "a", "default")
        assert await take(events, 3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_history_is_replayed_from_a_version(client: Client) -> None:
    first = await create(client, "a")
    await create(client, "b")
    version = first["metadata"]["resourceVersion"]
    async with aclosing(client.watch(CONFIG_MAPS, resource_version=version)) as events:
        assert await take(events, 1) == [("ADDED", "b")]


async def test_without_a_version_present_objects_come_first(client: Client) -> None:
    await create(client, "a")
    async with aclosing(client.watch(CONFIG_MAPS, "default")) as events:
        assert await take(events, 1) == [("ADDED", "a")]


async def test_object_leaving_the_selector_is_deleted_for_its_watcher(client: Client) -> None:
    start = (await client.list(CONFIG_MAPS)).resource_version
    async with aclosing(client.watch(CONFIG_MAPS, resource_version=start, label_selector="app=x")) as events:
        await create(client, "a", app="x")
        await create(client, "other", app="y")
        await client.patch(CONFIG_MAPS, "a", "default", {"metadata": {"labels": {"app": "y"}}})
        assert await take(events, 2) == [("ADDED", "a"), ("DELETED", "a")]


async def test_watch_list_ends_its_first_part_with_a_bookmark(client: Client) -> None:
    await create(client, "a")
    seen: list[WatchEvent] = []
    async with aclosing(client.watch(CONFIG_MAPS, "default", initial_events=True)) as events:
        async for event in events:
            seen.append(event)
            if event.type == "BOOKMARK":
                break
    assert [event.type for event in seen] == ["ADDED", "BOOKMARK"]
    assert seen[-1].object["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_version_before_the_kept_history_is_gone(tmp_path) -> None:
    async with running(tmp_path) as server:
        await create(server.direct(ADMIN), "a")
        await create(server.direct(ADMIN), "b")
    async with running(tmp_path) as server:
        with pytest.raises(errors.Gone, match="too old resource version"):
            await take(server.direct(ADMIN).watch(CONFIG_MAPS, resource_version="1"), 1)


async def test_deleted_event_carries_the_version_of_the_deletion(client: Client) -> None:
    made = await create(client, "a")
    version = made["metadata"]["resourceVersion"]
    async with aclosing(client.watch(CONFIG_MAPS, resource_version=version)) as events:
        await client.delete(CONFIG_MAPS, "a", "default")
        async for event in events:
            assert event.type == "DELETED"
            assert int(event.object["metadata"]["resourceVersion"]) > int(version)
            break
