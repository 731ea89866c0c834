"""StatefulSets through the real API: order, claims, updates with a partition."""

from __future__ import annotations

from tests.support.controllers import World, workload

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS

IMAGE_2 = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}}


def ready(count: int) -> object:
    return lambda obj: obj.get("status", {}).get("readyReplicas", 0) == count


def images(world: World) -> list[str]:
    return [pod["spec"]["containers"][0]["image"] for pod in world.list(PODS)]


async def test_starts_in_order_with_a_claim_for_each(world: World) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    world.kubelet.ready = lambda pod: objects.name(pod) == "db-0"
    pod_needs = workload("StatefulSet", "db", replicas=3, serviceName="db")
    await world.create(STATEFUL_SETS, pod_needs)
    await world.wait(PODS, "db-1", lambda pod: pod.get("status", {}).get("phase") == "Running")
    await world.settle()
    assert [objects.name(pod) for pod in world.list(PODS)] == ["db-0", "db-1"]
    world.kubelet.ready = lambda pod: True
    world.kubelet.look_again()
    done = await world.wait(STATEFUL_SETS, "db", ready(3))
    pod = world.get(PODS, "db-2")
    assert pod["spec"]["hostname"] == "db-2"
    assert pod["spec"]["subdomain"] == "db"
    assert objects.labels(pod)["apps.kubernetes.io/pod-index"] == "2"
    assert done["status"]["currentRevision"] == done["status"]["updateRevision"]
    other = workload("StatefulSet", "kv", replicas=1, serviceName="kv", volumeClaimTemplates=[claim])
    await world.create(STATEFUL_SETS, other)
    made = await world.wait(PERSISTENT_VOLUME_CLAIMS, "data-kv-0", lambda obj: True)
    assert objects.labels(made)["app"] == "kv"
    mounted = await world.wait(PODS, "kv-0", lambda obj: True)
    assert mounted["spec"]["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "data-kv-0"}}


async def test_scales_down_from_the_highest(world: World) -> None:
    await world.create(STATEFUL_SETS, workload("StatefulSet", "db", replicas=3, serviceName="db"))
    await world.wait(STATEFUL_SETS, "db", ready(3))
    gone: list[str] = []

    def note(old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            gone.append(objects.name(old))

    world.informers.of(PODS).on_change(note)
    await world.patch(STATEFUL_SETS, "db", {"spec": {"replicas": 1}})
    await world.count(PODS, 1)
    assert gone == ["db-2", "db-1"]


async def test_updates_above_the_partition_alone(world: World) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await world.create(
        STATEFUL_SETS, workload("StatefulSet", "db", replicas=3, serviceName="db", updateStrategy=strategy)
    )
    await world.wait(STATEFUL_SETS, "db", ready(3))
    await world.patch(STATEFUL_SETS, "db", IMAGE_2)
    held = await world.wait(
        STATEFUL_SETS, "db", lambda obj: obj["status"].get("updatedReplicas") == 1 and ready(3)(obj)
    )
    await world.settle()
    assert images(world) == ["app:1", "app:1", "app:2"]
    assert held["status"]["currentRevision"] != held["status"]["updateRevision"]
    await world.patch(STATEFUL_SETS, "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    done = await world.wait(
        STATEFUL_SETS, "db", lambda obj: obj["status"]["currentRevision"] == obj["status"]["updateRevision"]
    )
    assert images(world) == ["app:2", "app:2", "app:2"]
    assert done["status"]["currentReplicas"] == 3
    assert sorted(each["revision"] for each in world.list(CONTROLLER_REVISIONS)) == [1, 2]


async def test_a_failed_pod_comes_back_under_its_name(world: World) -> None:
    world.kubelet.phase = lambda pod: "Failed"
    await world.create(STATEFUL_SETS, workload("StatefulSet", "db", replicas=1, serviceName="db"))
    first = await world.wait(PODS, "db-0", lambda pod: pod.get("status", {}).get("phase") == "Failed")
    world.kubelet.phase = lambda pod: "Running"
    await world.wait(STATEFUL_SETS, "db", ready(1))
    assert objects.uid(world.get(PODS, "db-0")) != objects.uid(first)
