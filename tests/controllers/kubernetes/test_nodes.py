"""Nodes that fall silent and come back, and the pods on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.controllers import World, cluster, template

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, NODES, PODS


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A cluster whose nodes may be silent for 40 seconds."""
    async with cluster(tmp_path, node_patience=40) as running:
        await running.node("n1")
        yield running


def pod(name: str, **spec: object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", **template({}, **spec), "metadata": {"name": name}}


def tainted(node: Object) -> set[str]:
    return {f"{each['key']}:{each['effect']}" for each in node.get("spec", {}).get("taints") or []}


async def test_silent_node_is_unknown_and_tainted_until_it_is_heard_again(world: World) -> None:
    await world.create(PODS, pod("p"))
    await world.wait(PODS, "p", lambda obj: objects.is_true(obj, "Ready"))
    await world.settle()
    world.clock.advance(30)
    await world.renew("n1")
    await world.settle()
    world.clock.advance(30)
    await world.settle()
    assert objects.is_true(world.get(NODES, "n1"), "Ready")
    world.clock.advance(15)
    node = await world.wait(NODES, "n1", lambda obj: len(tainted(obj)) == 2)
    assert objects.condition(node, "Ready")["status"] == "Unknown"
    assert objects.condition(node, "Ready")["reason"] == "NodeStatusUnknown"
    assert tainted(node) == {"node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"}
    await world.count(EVENTS, 1, lambda event: event["reason"] == "NodeNotReady" and event["type"] == "Normal")
    conditions = objects.set_condition(
        node["status"]["conditions"], "Ready", "True", "KubeletReady", "", None, world.clock.now()
    )
    await world.renew("n1")
    await world.client.patch(NODES, "n1", None, {"status": {"conditions": conditions}}, subresource="status")
    await world.wait(NODES, "n1", lambda obj: not tainted(obj))


async def test_pods_leave_a_silent_node_when_their_patience_ends(world: World) -> None:
    world.kubelet.lets_go = False
    toleration = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    forever = {"operator": "Exists", "effect": "NoExecute"}
    await world.create(PODS, pod("patient", tolerations=[toleration]))
    await world.create(PODS, pod("loyal", tolerations=[forever]))
    await world.count(PODS, 2, lambda obj: objects.is_true(obj, "Ready"))
    await world.settle()
    world.clock.advance(41)
    await world.wait(NODES, "n1", lambda obj: bool(tainted(obj)))
    await world.settle()
    world.clock.advance(299)
    await world.settle()
    assert not objects.deleting(world.get(PODS, "patient"))
    world.clock.advance(2)
    await world.wait(PODS, "patient", objects.deleting)
    await world.settle()
    assert not objects.deleting(world.get(PODS, "loyal"))


async def test_pods_of_a_node_that_is_gone_go_too(world: World) -> None:
    await world.create(PODS, pod("p"))
    await world.wait(PODS, "p", lambda obj: objects.is_true(obj, "Ready"))
    await world.delete(NODES, "n1")
    await world.gone(NODES, "n1")
    await world.settle()
    assert world.get(PODS, "p") is not None
    world.clock.advance(41)
    await world.gone(PODS, "p")


async def test_cordoning_taints(world: World) -> None:
    await world.patch(NODES, "n1", {"spec": {"unschedulable": True}})
    await world.wait(NODES, "n1", lambda obj: tainted(obj) == {"node.kubernetes.io/unschedulable:NoSchedule"})
    await world.patch(NODES, "n1", {"spec": {"unschedulable": None}})
    await world.wait(NODES, "n1", lambda obj: not tainted(obj))
