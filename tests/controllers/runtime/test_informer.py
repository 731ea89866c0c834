"""Informers against the real API server: changes, indexes, writes of our own, custom resources, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.apiserver import kubeconfig, running, serving

from nerv.apiserver.identity import ADMIN
from nerv.controllers.runtime import Informer, Informers, Writer
from nerv.controllers.runtime.informer import is_established
from nerv.kube import objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, Resource
from nerv.kube.tls import TlsTransport

GADGETS = Resource("example.com", "v1", "gadgets", "Gadget")


def config_map(name: str, value: str = "", **metadata: object) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"value": value}}


def definition() -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.fixture
async def informers(client: Client) -> AsyncIterator[Informers]:
    shared = Informers(client)
    yield shared
    await shared.stop()


async def until(informer: Informer, holds: Callable[[], object]) -> None:
    """Wait for a change after which `holds`."""
    changed = asyncio.Event()
    stop = informer.on_change(lambda old, new: changed.set())
    async with asyncio.timeout(45):
        while not holds():
            changed.clear()
            await changed.wait()
    stop()


async def test_follows_objects_and_tells_old_and_new(client: Client, informers: Informers) -> None:
    informer = informers.of(CONFIG_MAPS)
    assert informers.of(CONFIG_MAPS) is informer
    seen: list[tuple[str | None, str | None]] = []

    def note(old: Object | None, new: Object | None) -> None:
        if objects.name(new or old or {}) == "a":
            seen.append((old and old["data"]["value"], new and new["data"]["value"]))

    await client.create(CONFIG_MAPS, config_map("a", "1"), namespace="default")
    informer.on_change(note)
    await informer.synced.wait()
    await client.patch(CONFIG_MAPS, "a", "default", {"data": {"value": "2"}})
    await client.delete(CONFIG_MAPS, "a", "default")
    await until(informer, lambda: len(seen) == 3)
    assert seen == [(None, "1"), ("1", "2"), ("2", None)]


async def test_who_subscribes_later_is_told_what_is_there(client: Client, informers: Informers) -> None:
    informer = informers.of(CONFIG_MAPS, "default")
    await client.create(CONFIG_MAPS, config_map("a"), namespace="default")
    await client.create(CONFIG_MAPS, config_map("b"), namespace="kube-system")
    await until(informer, lambda: informer.get("default", "a"))
    names: list[str] = []
    stop = informer.on_change(lambda old, new: names.append(objects.name(new or {})))
    assert names == ["a"]
    stop()
    await client.create(CONFIG_MAPS, config_map("c"), namespace="default")
    await until(informer, lambda: informer.get("default", "c"))
    assert names == ["a"]


async def test_selectors_choose_and_objects_leave_when_they_stop_matching(client: Client, informers: Informers) -> None:
    informer = informers.of(CONFIG_MAPS, label_selector="color=blue")
    await informer.synced.wait()
    await client.create(CONFIG_MAPS, config_map("a", labels={"color": "blue"}), namespace="default")
    await until(informer, lambda: informer.list())
    await client.patch(CONFIG_MAPS, "a", "default", {"metadata": {"labels": {"color": "red"}}})
    await until(informer, lambda: not informer.list())


async def test_indexes_follow(client: Client, informers: Informers) -> None:
    informer = informers.of(CONFIG_MAPS, "default")
    informer.add_index("value", lambda obj: (obj["data"]["value"],))
    await client.create(CONFIG_MAPS, config_map("a", "1"), namespace="default")
    await client.create(CONFIG_MAPS, config_map("b", "1"), namespace="default")
    await until(informer, lambda: len(informer.indexed("value", "1")) == 2)
    await client.patch(CONFIG_MAPS, "a", "default", {"data": {"value": "2"}})
    await until(informer, lambda: informer.indexed("value", "2"))
    assert [objects.name(each) for each in informer.indexed("value", "1")] == ["b"]
    assert [objects.name(each) for each in informer.indexed("value", "2")] == ["a"]


async def test_writes_are_read_at_once_and_stale_events_do_not_undo_them(client: Client, informers: Informers) -> None:
    informer = informers.of(CONFIG_MAPS, "default")
    shared = informers.of(CONFIG_MAPS)
    await shared.synced.wait()
    await informer.synced.wait()
    writer = Writer(client, informers)
    created = await writer.create(CONFIG_MAPS, config_map("a", "1"), "default")
    assert shared.get("default", "a") == created
    changed = await writer.patch(CONFIG_MAPS, created, {"data": {"value": "2"}})
    assert shared.get("default", "a") == changed
    shared.observe(created)
    assert shared.get("default", "a") == changed
    await writer.delete(CONFIG_MAPS, changed)
    assert shared.get("default", "a") is None
    shared.observe(changed)
    assert shared.get("default", "a") is None
    again = await writer.create(CONFIG_MAPS, config_map("a", "3"), "default")
    await until(informer, lambda: informer.get("default", "a"))
    assert shared.get("default", "a") == again


async def test_the_last_finalizer_is_the_end(client: Client, informers: Informers) -> None:
    shared = informers.of(CONFIG_MAPS)
    await shared.synced.wait()
    writer = Writer(client, informers)
    created = await writer.create(CONFIG_MAPS, config_map("a", finalizers=["example.com/x"]), "default")
    await writer.delete(CONFIG_MAPS, created)
    held = shared.get("default", "a")
    assert held is not None
    assert objects.deleting(held)
    await writer.patch(CONFIG_MAPS, held, {"metadata": {"finalizers": None}})
    assert shared.get("default", "a") is None


async def test_custom_resources_appear_go_and_come_back(client: Client, informers: Informers) -> None:
    informer = informers.of(GADGETS)
    gadget = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}}
    for _ in range(2):
        assert not informer.synced.is_set()
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition())
        async with asyncio.timeout(45):
            await informer.synced.wait()
        await client.create(GADGETS, gadget, namespace="default")
        await until(informer, lambda: informer.get("default", "g"))
        await client.delete(CUSTOM_RESOURCE_DEFINITIONS, "gadgets.example.com")
        await until(informer, lambda: not informer.list())
        definitions = informers.of(CUSTOM_RESOURCE_DEFINITIONS)
        await until(definitions, lambda there=definitions: not there.list())
        async with asyncio.timeout(45):
            while informer.synced.is_set():  # noqa: ASYNC110  the event has no "until cleared"
                await asyncio.sleep(0.001)


async def test_metadata_informers_keep_no_content_unless_shared(client: Client, informers: Informers) -> None:
    await client.create(CONFIG_MAPS, config_map("a", "1"), namespace="default")
    light = informers.metadata(CONFIG_MAPS)
    await light.synced.wait()
    found = light.get("default", "a")
    assert found is not None
    assert set(found) == {"apiVersion", "kind", "metadata"}
    assert "managedFields" not in found["metadata"]
    whole = informers.of(CONFIG_MAPS)
    assert informers.metadata(CONFIG_MAPS) is whole


async def test_survives_a_server_that_went_away(tmp_path: Path) -> None:
    async with running(tmp_path, serving=serving()) as first:
        port = first.port
        client = Client(TlsTransport.from_kubeconfig(kubeconfig(first, tmp_path)))
        informers = Informers(client)
        informer = informers.of(CONFIG_MAPS, "default")
        await client.create(CONFIG_MAPS, config_map("a"), namespace="default")
        await client.create(CONFIG_MAPS, config_map("b"), namespace="default")
        await until(informer, lambda: len(informer.list()) == 2)
    async with running(tmp_path, serving=serving(), port=port) as second:
        later = second.direct(ADMIN)
        await later.delete(CONFIG_MAPS, "a", "default")
        await later.create(CONFIG_MAPS, config_map("c"), namespace="default")
        await until(informer, lambda: sorted(map(objects.name, informer.list())) == ["b", "c"])
        await informers.stop()
        await client.close()


def test_a_new_definition_of_a_real_api_server_has_no_conditions_yet() -> None:
    fresh = {**definition(), "status": {"conditions": None, "storedVersions": ["v1"]}}
    assert not is_established(fresh)
    fresh["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert is_established(fresh)
