"""DaemonSets through the real API: which nodes, updates, nodes that come and go."""

from __future__ import annotations

from tests.support.controllers import World, template, workload

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import DAEMON_SETS, NODES, PODS


def where(world: World) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in world.list(PODS) if not objects.deleting(pod))


def ready(count: int) -> object:
    def holds(obj: Object) -> bool:
        status = obj.get("status", {})
        names = ("numberReady", "desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        return [status.get(name) for name in names] == [count] * 4

    return holds


async def test_one_pod_on_each_node_also_on_later_ones(world: World) -> None:
    await world.node("n2")
    await world.create(DAEMON_SETS, workload("DaemonSet", "agent"))
    await world.wait(DAEMON_SETS, "agent", ready(2))
    await world.node("n3")
    await world.wait(DAEMON_SETS, "agent", ready(3))
    assert where(world) == ["n1", "n2", "n3"]
    await world.delete(NODES, "n2")
    await world.wait(DAEMON_SETS, "agent", ready(2))
    await world.until(PODS, lambda: where(world) == ["n1", "n3"] or None)


async def test_follows_the_node_selector_and_taints(world: World) -> None:
    await world.node("n2", labels={"disk": "ssd"})
    await world.node("n3", labels={"disk": "ssd"})
    await world.patch(NODES, "n3", {"spec": {"taints": [{"key": "only", "value": "db", "effect": "NoSchedule"}]}})
    pod = template({"app": "agent"}, nodeSelector={"disk": "ssd"})
    await world.create(DAEMON_SETS, workload("DaemonSet", "agent", template=pod))
    await world.wait(DAEMON_SETS, "agent", ready(1))
    assert where(world) == ["n2"]
    await world.patch(NODES, "n1", {"metadata": {"labels": {"disk": "ssd"}}})
    await world.wait(DAEMON_SETS, "agent", ready(2))
    assert where(world) == ["n1", "n2"]


async def test_updates_one_node_at_a_time(world: World) -> None:
    await world.node("n2")
    await world.node("n3")
    await world.create(DAEMON_SETS, workload("DaemonSet", "agent"))
    await world.wait(DAEMON_SETS, "agent", ready(3))
    lowest = 3

    def note(old: Object | None, new: Object | None) -> None:
        nonlocal lowest
        lowest = min(lowest, sum(objects.is_true(p, "Ready") and not objects.deleting(p) for p in world.list(PODS)))

    world.informers.of(PODS).on_change(note)
    change = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}}
    await world.patch(DAEMON_SETS, "agent", change)
    await world.wait(DAEMON_SETS, "agent", lambda obj: ready(3)(obj) and obj["status"]["observedGeneration"] == 2)
    assert {pod["spec"]["containers"][0]["image"] for pod in world.list(PODS)} == {"app:2"}
    assert lowest == 2


async def test_tolerates_a_cordoned_node(world: World) -> None:
    await world.patch(NODES, "n1", {"spec": {"unschedulable": True}})
    await world.create(DAEMON_SETS, workload("DaemonSet", "agent"))
    await world.wait(DAEMON_SETS, "agent", ready(1))
