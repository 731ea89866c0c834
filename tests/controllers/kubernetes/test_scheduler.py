"""The scheduler through the real API: room, spread, selectors, taints, affinity, and what it says when nothing fits."""

from __future__ import annotations

from collections import Counter

from tests.support.controllers import World

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, NODES, PODS


def pod(name: str, *, cpu: str = "", labels: dict[str, str] | None = None, **spec: object) -> Object:
    container: Object = {"name": "app", "image": "app:1"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


async def refusal(world: World, name: str) -> str:
    found = await world.wait(PODS, name, lambda obj: objects.condition(obj, "PodScheduled") is not None)
    condition = objects.condition(found, "PodScheduled")
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    return str(condition["message"])


async def on_node(world: World, name: str) -> str:
    found = await world.wait(PODS, name, lambda obj: obj["spec"].get("nodeName"))
    return str(found["spec"]["nodeName"])


async def test_spreads_over_nodes(world: World) -> None:
    await world.node("n2")
    for number in range(6):
        await world.create(PODS, pod(f"p{number}", cpu="1"))
    await world.count(PODS, 6, lambda obj: bool(obj["spec"].get("nodeName")))
    assert Counter(each["spec"]["nodeName"] for each in world.list(PODS)) == {"n1": 3, "n2": 3}
    message = f"Successfully assigned default/p0 to {world.get(PODS, 'p0')['spec']['nodeName']}"
    await world.count(EVENTS, 1, lambda event: event["reason"] == "Scheduled" and event["message"] == message)


async def test_never_gives_the_same_room_twice(world: World) -> None:
    for number in range(70):
        await world.create(PODS, pod(f"p{number:02}", cpu="1"))
    await world.count(PODS, 64, lambda obj: bool(obj["spec"].get("nodeName")))
    await world.settle()
    assert sum(bool(each["spec"].get("nodeName")) for each in world.list(PODS)) == 64


async def test_says_why_nothing_fits_and_tries_again_when_room_is_made(world: World) -> None:
    await world.create(PODS, pod("big", cpu="60"))
    await on_node(world, "big")
    await world.create(PODS, pod("other", cpu="60"))
    assert await refusal(world, "other") == (
        "0/1 nodes are available: 1 Insufficient cpu. "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    await world.count(EVENTS, 1, lambda event: event["reason"] == "FailedScheduling")
    await world.delete(PODS, "big")
    assert await on_node(world, "other") == "n1"


async def test_no_nodes_at_all(world: World) -> None:
    await world.delete(NODES, "n1")
    await world.create(PODS, pod("lost"))
    assert await refusal(world, "lost") == "no nodes available to schedule pods"
    await world.node("n9")
    assert await on_node(world, "lost") == "n9"


async def test_selectors_taints_and_affinity(world: World) -> None:
    await world.node("n2", labels={"disk": "ssd", "size": "10"})
    await world.create(PODS, pod("chosen", nodeSelector={"disk": "ssd"}))
    assert await on_node(world, "chosen") == "n2"
    terms = [{"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["5"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    await world.create(PODS, pod("sized", affinity={"nodeAffinity": required}))
    assert await on_node(world, "sized") == "n2"
    taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    await world.patch(NODES, "n2", {"spec": {"taints": [taint]}})
    await world.settle()
    await world.create(PODS, pod("refused", nodeSelector={"disk": "ssd"}))
    assert await refusal(world, "refused") == (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {dedicated: db}. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    toleration = {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}
    await world.create(PODS, pod("tolerant", nodeSelector={"disk": "ssd"}, tolerations=[toleration]))
    assert await on_node(world, "tolerant") == "n2"


async def test_anti_affinity_keeps_replicas_apart(world: World) -> None:
    await world.node("n2")
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for name in ("a", "b", "c"):
        await world.create(PODS, pod(name, labels={"app": "web"}, affinity=apart))
    assert {await on_node(world, "a"), await on_node(world, "b")} == {"n1", "n2"}
    assert "2 node(s) didn't match pod anti-affinity rules" in await refusal(world, "c")


async def test_gated_pods_wait(world: World) -> None:
    await world.create(PODS, pod("gated", schedulingGates=[{"name": "example.com/hold"}]))
    found = await world.wait(PODS, "gated", lambda obj: objects.condition(obj, "PodScheduled") is not None)
    assert objects.condition(found, "PodScheduled")["reason"] == "SchedulingGated"
    await world.patch(PODS, "gated", {"spec": {"schedulingGates": None}})
    assert await on_node(world, "gated") == "n1"
