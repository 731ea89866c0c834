"""Claims and volumes through the real API."""

from __future__ import annotations

from tests.support.controllers import World, template

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES


def volume(name: str, size: str, storage_class: str = "", **spec: object) -> Object:
    wanted = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "hostPath": {"path": "/data"},
        **spec,
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": wanted}


def claim(name: str, size: str, storage_class: str | None = "") -> Object:
    spec: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def storage_class(name: str, mode: str = "Immediate", *, default: bool = False) -> Object:
    metadata: Object = {"name": name}
    if default:
        metadata["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": metadata,
        "provisioner": "driver.example.com",
        "volumeBindingMode": mode,
    }


def user(name: str, claim_name: str) -> Object:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]
    return {"apiVersion": "v1", "kind": "Pod", **template({}, volumes=volumes), "metadata": {"name": name}}


def phase(wanted: str) -> object:
    return lambda obj: obj.get("status", {}).get("phase") == wanted


async def test_takes_the_smallest_volume_that_fits(world: World) -> None:
    for name, size in (("small", "1Gi"), ("fitting", "5Gi"), ("large", "50Gi")):
        await world.create(PERSISTENT_VOLUMES, volume(name, size))
    await world.wait(PERSISTENT_VOLUMES, "large", phase("Available"))
    await world.create(PERSISTENT_VOLUME_CLAIMS, claim("data", "2Gi"))
    bound = await world.wait(PERSISTENT_VOLUME_CLAIMS, "data", phase("Bound"))
    assert bound["spec"]["volumeName"] == "fitting"
    assert bound["status"]["capacity"] == {"storage": "5Gi"}
    assert objects.annotations(bound)["pv.kubernetes.io/bind-completed"] == "yes"
    taken = await world.wait(PERSISTENT_VOLUMES, "fitting", phase("Bound"))
    assert taken["spec"]["claimRef"]["uid"] == objects.uid(bound)
    await world.delete(PERSISTENT_VOLUME_CLAIMS, "data")
    await world.wait(PERSISTENT_VOLUMES, "fitting", phase("Released"))


async def test_is_announced_to_the_provisioner_and_bound_when_it_made_a_volume(world: World) -> None:
    await world.create(STORAGE_CLASSES, storage_class("fast", default=True))
    await world.create(PERSISTENT_VOLUME_CLAIMS, claim("data", "2Gi", None))
    name = "volume.kubernetes.io/storage-provisioner"
    waiting = await world.wait(PERSISTENT_VOLUME_CLAIMS, "data", lambda obj: name in objects.annotations(obj))
    assert objects.annotations(waiting)[name] == "driver.example.com"
    assert waiting["spec"]["storageClassName"] == "fast"
    await world.count(EVENTS, 1, lambda event: event["reason"] == "ExternalProvisioning")
    reference = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data", "uid": objects.uid(waiting)}
    await world.create(PERSISTENT_VOLUMES, volume("made", "2Gi", "fast", claimRef=reference))
    bound = await world.wait(PERSISTENT_VOLUME_CLAIMS, "data", phase("Bound"))
    assert bound["spec"]["volumeName"] == "made"


async def test_waits_for_the_first_consumer_and_says_where_it_runs(world: World) -> None:
    await world.create(STORAGE_CLASSES, storage_class("late", "WaitForFirstConsumer"))
    await world.create(PERSISTENT_VOLUME_CLAIMS, claim("data", "1Gi", "late"))
    await world.count(EVENTS, 1, lambda event: event["reason"] == "WaitForFirstConsumer")
    await world.create(PODS, user("app", "data"))
    selected = "volume.kubernetes.io/selected-node"
    chosen = await world.wait(PERSISTENT_VOLUME_CLAIMS, "data", lambda obj: selected in objects.annotations(obj))
    assert objects.annotations(chosen)[selected] == "n1"
    assert not world.get(PODS, "app")["spec"].get("nodeName")
    reference = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data", "uid": objects.uid(chosen)}
    await world.create(PERSISTENT_VOLUMES, volume("made", "1Gi", "late", claimRef=reference))
    await world.wait(PODS, "app", lambda obj: obj["spec"].get("nodeName") == "n1")


async def test_a_claim_in_use_is_kept(world: World) -> None:
    await world.create(PERSISTENT_VOLUMES, volume("v", "1Gi"))
    await world.create(PERSISTENT_VOLUME_CLAIMS, claim("data", "1Gi"))
    await world.create(PODS, user("app", "data"))
    await world.wait(PODS, "app", lambda obj: objects.is_true(obj, "Ready"))
    await world.delete(PERSISTENT_VOLUME_CLAIMS, "data")
    await world.wait(PERSISTENT_VOLUME_CLAIMS, "data", objects.deleting)
    await world.settle()
    assert objects.finalizers(world.get(PERSISTENT_VOLUME_CLAIMS, "data")) == ["kubernetes.io/pvc-protection"]
    await world.delete(PODS, "app")
    await world.gone(PERSISTENT_VOLUME_CLAIMS, "data")


async def test_a_missing_claim_is_named(world: World) -> None:
    await world.create(PODS, user("app", "data"))
    refused = await world.wait(PODS, "app", lambda obj: objects.condition(obj, "PodScheduled") is not None)
    assert objects.condition(refused, "PodScheduled")["message"] == (
        '0/1 nodes are available: persistentvolumeclaim "data" not found. '
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    await world.create(PERSISTENT_VOLUMES, volume("v", "1Gi"))
    await world.create(PERSISTENT_VOLUME_CLAIMS, claim("data", "1Gi"))
    await world.wait(PODS, "app", lambda obj: objects.is_true(obj, "Ready"))
