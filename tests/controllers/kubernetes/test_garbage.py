"""Garbage collection through the real API, over builtin and custom kinds."""

from __future__ import annotations

from tests.support.controllers import World

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, EVENTS, SECRETS


def config_map(name: str, *owners: Object, **metadata: object) -> Object:
    references = [objects.owner_reference(owner, controller=False) for owner in owners]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": references, **metadata},
    }


def absent(kind: str = "ConfigMap") -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "never", "uid": "00000000-dead"}}


async def test_goes_with_its_owner(world: World) -> None:
    owner = await world.create(CONFIG_MAPS, config_map("owner"))
    child = await world.create(CONFIG_MAPS, config_map("child", owner))
    await world.create(CONFIG_MAPS, config_map("grandchild", child))
    await world.delete(CONFIG_MAPS, "owner")
    await world.gone(CONFIG_MAPS, "child")
    await world.gone(CONFIG_MAPS, "grandchild")


async def test_one_owner_left_is_enough(world: World) -> None:
    first = await world.create(CONFIG_MAPS, config_map("first"))
    second = await world.create(CONFIG_MAPS, config_map("second"))
    await world.create(CONFIG_MAPS, config_map("child", first, second))
    await world.delete(CONFIG_MAPS, "first")
    await world.wait(CONFIG_MAPS, "child", lambda obj: len(obj["metadata"]["ownerReferences"]) == 1)
    await world.delete(CONFIG_MAPS, "second")
    await world.gone(CONFIG_MAPS, "child")


async def test_an_owner_that_never_was(world: World) -> None:
    await world.create(CONFIG_MAPS, config_map("child", absent()))
    await world.gone(CONFIG_MAPS, "child")


async def test_an_owner_replaced_by_another_of_its_name_is_gone(world: World) -> None:
    owner = await world.create(CONFIG_MAPS, config_map("owner"))
    await world.delete(CONFIG_MAPS, "owner")
    await world.create(CONFIG_MAPS, config_map("owner"))
    await world.create(CONFIG_MAPS, config_map("child", owner))
    await world.gone(CONFIG_MAPS, "child")
    assert world.get(CONFIG_MAPS, "owner") is not None


async def test_foreground_waits_for_blocking_dependents(world: World) -> None:
    owner = await world.create(CONFIG_MAPS, config_map("owner"))
    child = config_map("child", finalizers=["example.com/hold"])
    child["metadata"]["ownerReferences"] = [{**objects.owner_reference(owner, controller=False),
                                             "blockOwnerDeletion": True}]  # fmt: skip
    await world.create(CONFIG_MAPS, child)
    await world.delete(CONFIG_MAPS, "owner", "Foreground")
    await world.wait(CONFIG_MAPS, "child", objects.deleting)
    await world.settle()
    assert objects.finalizers(world.get(CONFIG_MAPS, "owner")) == ["foregroundDeletion"]
    await world.patch(CONFIG_MAPS, "child", {"metadata": {"finalizers": None}})
    await world.gone(CONFIG_MAPS, "child")
    await world.gone(CONFIG_MAPS, "owner")


async def test_orphans_stay(world: World) -> None:
    owner = await world.create(CONFIG_MAPS, config_map("owner"))
    await world.create(CONFIG_MAPS, config_map("child", owner))
    await world.delete(CONFIG_MAPS, "owner", "Orphan")
    await world.gone(CONFIG_MAPS, "owner")
    await world.settle()
    assert "ownerReferences" not in world.get(CONFIG_MAPS, "child")["metadata"]


async def test_an_owner_in_another_namespace_is_none(world: World) -> None:
    owner = await world.create(
        SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}, "kube-system"
    )
    await world.create(CONFIG_MAPS, config_map("child", owner))
    await world.gone(CONFIG_MAPS, "child")
    await world.count(EVENTS, 1, lambda event: event["reason"] == "OwnerRefInvalidNamespace")
