"""Create, read, change and delete objects through the whole request chain."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from tests.support.apiserver import running

from nerv.apiserver.identity import ADMIN
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, PODS


def config_map(name: str = "a", **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


async def test_created_object_gets_identity(client: Client) -> None:
    made = await client.create(CONFIG_MAPS, config_map(key="1"))
    meta = made["metadata"]
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")
    assert int(meta["resourceVersion"]) > 0
    assert await client.get(CONFIG_MAPS, "a", "default") == made


async def test_second_creation_is_refused(client: Client) -> None:
    await client.create(CONFIG_MAPS, config_map())
    with pytest.raises(errors.AlreadyExists, match='configmaps "a" already exists'):
        await client.create(CONFIG_MAPS, config_map())


async def test_missing_object(client: Client) -> None:
    with pytest.raises(errors.NotFound, match='configmaps "nope" not found'):
        await client.get(CONFIG_MAPS, "nope", "default")


async def test_generated_name(client: Client) -> None:
    obj = config_map()
    obj["metadata"] = {"generateName": "run-", "namespace": "default"}
    made = await client.create(CONFIG_MAPS, obj)
    assert made["metadata"]["name"].startswith("run-")
    assert len(made["metadata"]["name"]) == 9


async def test_stale_replace_conflicts(client: Client) -> None:
    made = await client.create(CONFIG_MAPS, config_map(key="1"))
    changed = await client.replace(CONFIG_MAPS, {**made, "data": {"key": "2"}})
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    with pytest.raises(errors.Conflict, match="the object has been modified"):
        await client.replace(CONFIG_MAPS, {**made, "data": {"key": "3"}})


async def test_same_content_is_not_written(client: Client) -> None:
    made = await client.create(CONFIG_MAPS, config_map(key="1"))
    again = await client.patch(CONFIG_MAPS, "a", "default", {"data": {"key": "1"}})
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_merge_patch_removes_with_null(client: Client) -> None:
    await client.create(CONFIG_MAPS, config_map(key="1", other="2"))
    changed = await client.patch(CONFIG_MAPS, "a", "default", {"data": {"key": None}})
    assert changed["data"] == {"other": "2"}


async def test_list_by_label_and_field(client: Client) -> None:
    for name in ("a", "b"):
        obj = config_map(name)
        obj["metadata"]["labels"] = {"app": name}
        await client.create(CONFIG_MAPS, obj)
    by_label = await client.list(CONFIG_MAPS, "default", label_selector="app=b")
    assert [item["metadata"]["name"] for item in by_label.items] == ["b"]
    by_field = await client.list(CONFIG_MAPS, field_selector="metadata.name=a")
    assert [item["metadata"]["name"] for item in by_field.items] == ["a"]


async def test_list_shows_changes(client: Client) -> None:
    assert (await client.list(CONFIG_MAPS, "default")).items == []
    await client.create(CONFIG_MAPS, config_map())
    assert len((await client.list(CONFIG_MAPS, "default")).items) == 1
    await client.delete(CONFIG_MAPS, "a", "default")
    assert (await client.list(CONFIG_MAPS, "default")).items == []


async def test_finalizer_holds_the_object(client: Client) -> None:
    obj = config_map()
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    await client.create(CONFIG_MAPS, obj)
    marked = await client.delete(CONFIG_MAPS, "a", "default")
    assert marked["metadata"]["deletionTimestamp"]
    await client.patch(CONFIG_MAPS, "a", "default", {"metadata": {"finalizers": None}})
    with pytest.raises(errors.NotFound):
        await client.get(CONFIG_MAPS, "a", "default")


async def test_foreground_deletion_leaves_the_marker_to_the_collector(client: Client) -> None:
    await client.create(CONFIG_MAPS, config_map())
    marked = await client.delete(CONFIG_MAPS, "a", "default", propagation="Foreground")
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_scheduled_pod_is_given_time(client: Client) -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 7},
    }
    await client.create(PODS, pod)
    marked = await client.delete(PODS, "p", "default")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 7
    await client.delete(PODS, "p", "default", grace_period=0)
    with pytest.raises(errors.NotFound):
        await client.get(PODS, "p", "default")


async def test_delete_precondition(client: Client) -> None:
    await client.create(CONFIG_MAPS, config_map())
    with pytest.raises(errors.Conflict, match="the UID in the precondition"):
        await client.delete(CONFIG_MAPS, "a", "default", uid="other")


async def test_creation_in_a_missing_namespace(client: Client) -> None:
    obj = config_map()
    obj["metadata"]["namespace"] = "nowhere"
    with pytest.raises(errors.NotFound, match='namespaces "nowhere" not found'):
        await client.create(CONFIG_MAPS, obj)


async def test_terminating_namespace_takes_nothing_new(client: Client) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "going"}})
    marked = await client.delete(NAMESPACES, "going")
    assert marked["status"]["phase"] == "Terminating"
    obj = config_map()
    obj["metadata"]["namespace"] = "going"
    with pytest.raises(errors.Forbidden, match="because it is being terminated"):
        await client.create(CONFIG_MAPS, obj)
    del marked["spec"]["finalizers"]
    await client.replace(NAMESPACES, marked, subresource="finalize")
    with pytest.raises(errors.NotFound):
        await client.get(NAMESPACES, "going")


async def test_dry_run_changes_nothing(client: Client) -> None:
    made = await client.create(CONFIG_MAPS, config_map(), dry_run=True)
    assert made["metadata"]["uid"]
    with pytest.raises(errors.NotFound):
        await client.get(CONFIG_MAPS, "a", "default")


WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "listKind": "WidgetList", "singular": "widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


async def test_definition_is_served_at_once_and_empties_itself(client: Client) -> None:
    with pytest.raises(errors.NoMatch, match='no matches for kind "Widget" in version'):
        await client.resource_for("example.com/v1", "Widget")
    made = await client.create(CUSTOM_RESOURCE_DEFINITIONS, WIDGETS)
    assert {item["type"]: item["status"] for item in made["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    widgets = await client.resource_for("example.com/v1", "Widget")
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "default"},
        "spec": {"size": 1},
        "status": {"ready": True},
    }
    made = await client.create(widgets, widget)
    assert made["metadata"]["generation"] == 1
    assert "status" not in made
    made = await client.patch(widgets, "w", "default", {"status": {"ready": True}}, subresource="status")
    assert (made["status"], made["metadata"]["generation"]) == ({"ready": True}, 1)
    made = await client.patch(widgets, "w", "default", {"spec": {"size": 2}, "status": None})
    assert (made["status"], made["metadata"]["generation"]) == ({"ready": True}, 2)
    async with aclosing(client.watch(CUSTOM_RESOURCE_DEFINITIONS)) as events:
        await client.delete(CUSTOM_RESOURCE_DEFINITIONS, "widgets.example.com")
        async for event in events:
            if event.type == "DELETED":
                break
    with pytest.raises(errors.NotFound):
        await client.get(widgets, "w", "default")


async def test_everything_is_there_after_a_restart(tmp_path) -> None:
    async with running(tmp_path) as server:
        made = await server.direct(ADMIN).create(CONFIG_MAPS, config_map(key="1"))
    async with running(tmp_path) as server:
        assert await server.direct(ADMIN).get(CONFIG_MAPS, "a", "default") == made
