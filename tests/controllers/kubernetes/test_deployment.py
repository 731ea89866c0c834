"""Deployments through the real API: rollouts, revisions, conditions, scaling, history."""

from __future__ import annotations

from tests.support.controllers import World, workload

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import DEPLOYMENTS, EVENTS, PODS, REPLICA_SETS

REVISION = "deployment.kubernetes.io/revision"


def complete(replicas: int) -> object:
    def holds(obj: Object) -> bool:
        status = obj.get("status", {})
        numbers = [
            status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        ]
        return numbers == [replicas] * 4 and status.get("observedGeneration") == objects.generation(obj)

    return holds


def progressing(reason: str) -> object:
    return lambda obj: (objects.condition(obj, "Progressing") or {}).get("reason") == reason


async def test_becomes_available_through_a_replica_set(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=3))
    await world.wait(DEPLOYMENTS, "web", complete(3))
    deployment = await world.wait(DEPLOYMENTS, "web", progressing("NewReplicaSetAvailable"))
    (replica_set,) = world.list(REPLICA_SETS)
    hashed = objects.labels(replica_set)["pod-template-hash"]
    assert objects.name(replica_set) == f"web-{hashed}"
    assert replica_set["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": hashed}
    assert objects.annotations(replica_set)[REVISION] == "1"
    assert objects.annotations(deployment)[REVISION] == "1"
    assert objects.condition(deployment, "Available") | {"lastUpdateTime": "", "lastTransitionTime": ""} == {
        "type": "Available",
        "status": "True",
        "reason": "MinimumReplicasAvailable",
        "message": "Deployment has minimum availability.",
        "lastUpdateTime": "",
        "lastTransitionTime": "",
    }
    message = objects.condition(deployment, "Progressing")["message"]
    assert message == f'ReplicaSet "{objects.name(replica_set)}" has successfully progressed.'
    assert all(objects.name(pod).startswith(f"{objects.name(replica_set)}-") for pod in world.list(PODS))


async def test_rolls_to_a_new_revision_and_back(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=4))
    await world.wait(DEPLOYMENTS, "web", complete(4))
    image = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}}
    await world.patch(DEPLOYMENTS, "web", image)
    await world.wait(DEPLOYMENTS, "web", complete(4))
    old, new = sorted(world.list(REPLICA_SETS), key=lambda each: objects.annotations(each)[REVISION])
    assert [old["spec"]["replicas"], new["spec"]["replicas"]] == [0, 4]
    assert objects.annotations(new)[REVISION] == "2"
    image["spec"]["template"]["spec"]["containers"][0]["image"] = "app:1"
    await world.patch(DEPLOYMENTS, "web", image)
    deployment = await world.wait(DEPLOYMENTS, "web", lambda obj: objects.annotations(obj).get(REVISION) == "3")
    await world.wait(DEPLOYMENTS, "web", complete(4))
    back = world.get(REPLICA_SETS, objects.name(old))
    assert objects.annotations(back)["deployment.kubernetes.io/revision-history"] == "1"
    assert back["spec"]["replicas"] == 4
    assert len(world.list(REPLICA_SETS)) == 2
    assert deployment is not None


async def test_never_has_fewer_or_more_pods_than_the_strategy_allows(world: World) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=5, strategy=strategy))
    await world.wait(DEPLOYMENTS, "web", complete(5))
    seen: list[tuple[int, int]] = []

    def note(old: Object | None, new: Object | None) -> None:
        pods = [pod for pod in world.list(PODS) if not objects.deleting(pod)]
        seen.append((sum(objects.is_true(pod, "Ready") for pod in pods), len(pods)))

    stop = world.informers.of(PODS).on_change(note)
    seen.clear()
    await world.patch(DEPLOYMENTS, "web", {"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}})
    await world.wait(DEPLOYMENTS, "web", lambda obj: complete(5)(obj) and objects.annotations(obj)[REVISION] == "2")
    stop()
    assert min(ready for ready, _ in seen) >= 4
    assert max(count for _, count in seen) <= 6


async def test_recreate_waits_for_the_old_pods(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=2, strategy={"type": "Recreate"}))
    await world.wait(DEPLOYMENTS, "web", complete(2))
    world.kubelet.lets_go = False
    await world.patch(DEPLOYMENTS, "web", {"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}})
    await world.count(PODS, 2, objects.deleting)
    await world.settle()
    assert len(world.list(PODS)) == 2
    assert len(world.list(REPLICA_SETS)) == 1
    world.kubelet.lets_go = True
    world.kubelet.look_again()
    await world.wait(DEPLOYMENTS, "web", lambda obj: complete(2)(obj) and objects.annotations(obj)[REVISION] == "2")


async def test_deadline_is_exceeded_when_pods_never_become_ready(world: World) -> None:
    world.kubelet.ready = lambda pod: False
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=1, progressDeadlineSeconds=60))
    await world.wait(DEPLOYMENTS, "web", progressing("ReplicaSetUpdated"))
    await world.settle()
    world.clock.advance(30)
    await world.settle()
    assert progressing("ReplicaSetUpdated")(world.get(DEPLOYMENTS, "web"))
    world.clock.advance(40)
    deployment = await world.wait(DEPLOYMENTS, "web", progressing("ProgressDeadlineExceeded"))
    condition = objects.condition(deployment, "Progressing")
    (replica_set,) = world.list(REPLICA_SETS)
    assert condition["status"] == "False"
    assert condition["message"] == f'ReplicaSet "{objects.name(replica_set)}" has timed out progressing.'


async def test_paused_scales_but_does_not_roll(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=1))
    await world.wait(DEPLOYMENTS, "web", complete(1))
    change = {"spec": {"paused": True, "replicas": 3, "template": {"metadata": {"labels": {"version": "2"}}}}}
    await world.patch(DEPLOYMENTS, "web", change)
    await world.wait(DEPLOYMENTS, "web", lambda obj: obj["status"].get("readyReplicas") == 3)
    await world.wait(DEPLOYMENTS, "web", progressing("DeploymentPaused"))
    assert len(world.list(REPLICA_SETS)) == 1
    await world.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}})
    await world.wait(DEPLOYMENTS, "web", lambda obj: complete(3)(obj) and objects.annotations(obj)[REVISION] == "2")


async def test_old_revisions_beyond_the_limit_are_removed(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=1, revisionHistoryLimit=1))
    for number in range(2, 5):
        await world.patch(DEPLOYMENTS, "web", {"spec": {"template": {"metadata": {"labels": {"v": str(number)}}}}})
        wanted = str(number)
        await world.wait(
            DEPLOYMENTS,
            "web",
            lambda obj, wanted=wanted: complete(1)(obj) and objects.annotations(obj).get(REVISION) == wanted,
        )
    await world.count(REPLICA_SETS, 2)
    assert sorted(objects.annotations(each)[REVISION] for each in world.list(REPLICA_SETS)) == ["3", "4"]


async def test_deleting_takes_replica_sets_and_pods_along(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=2))
    await world.wait(DEPLOYMENTS, "web", complete(2))
    await world.delete(DEPLOYMENTS, "web", "Foreground")
    await world.gone(DEPLOYMENTS, "web")
    await world.count(REPLICA_SETS, 0)
    await world.count(PODS, 0)


async def test_orphaning_leaves_the_replica_sets(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=2))
    await world.wait(DEPLOYMENTS, "web", complete(2))
    await world.delete(DEPLOYMENTS, "web", "Orphan")
    await world.gone(DEPLOYMENTS, "web")
    await world.settle()
    (replica_set,) = world.list(REPLICA_SETS)
    assert "ownerReferences" not in replica_set["metadata"]
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=2))
    await world.wait(DEPLOYMENTS, "web", complete(2))
    adopted = world.get(REPLICA_SETS, objects.name(replica_set))
    assert objects.controller_of(adopted)["name"] == "web"
    assert objects.uid(adopted) == objects.uid(replica_set)


async def test_scaling_is_told_in_events(world: World) -> None:
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=1))
    await world.wait(DEPLOYMENTS, "web", complete(1))
    await world.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 2}})
    await world.wait(DEPLOYMENTS, "web", complete(2))
    (replica_set,) = world.list(REPLICA_SETS)
    name = objects.name(replica_set)
    await world.count(EVENTS, 2, lambda event: event["reason"] == "ScalingReplicaSet")
    messages = {event["message"] for event in world.list(EVENTS) if event["reason"] == "ScalingReplicaSet"}
    assert messages == {f"Scaled up replica set {name} to 1", f"Scaled up replica set {name} to 2 from 1"}
