"""Longhorn on a real API server: run-time objects, the CSI driver, volumes of claims, the honest uninstallation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.services import Site

from nerv.controllers.services import storage
from nerv.controllers.services.storage import programs, resources, webhook
from nerv.controllers.services.webhooks.reviews import Allowed, Denied
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CONFIG_MAPS,
    CSI_DRIVERS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
    VALIDATING_WEBHOOKS,
    VOLUME_ATTACHMENTS,
)

SPACE = "longhorn-system"
MANAGER = "longhornio/longhorn-manager:v1.9.1"
DAEMON = [
    *("longhorn-manager", "-d", "daemon", "--engine-image", "longhornio/longhorn-engine:v1.9.1"),
    *("--instance-manager-image", "longhornio/longhorn-instance-manager:v1.9.1", "--manager-image", MANAGER),
]
DEPLOYER = [
    *("longhorn-manager", "-d", "deploy-driver", "--manager-image", MANAGER),
    *("--manager-url", "http://longhorn-backend:9500/v1"),
]
CLASS = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: longhorn, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: driver.longhorn.io
allowVolumeExpansion: true
reclaimPolicy: Delete
parameters: {numberOfReplicas: "1", staleReplicaTimeout: "30", fsType: ext4}
"""


def config_map(name: str, **data: str) -> Object:
    metadata = {"name": name, "namespace": SPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def claim(name: str = "data", size: str = "1Gi") -> Object:
    metadata = {
        "name": name,
        "namespace": "default",
        "annotations": {"volume.kubernetes.io/storage-provisioner": resources.DRIVER},
    }
    spec = {
        "storageClassName": "longhorn",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


@pytest.fixture
async def longhorn(cluster: Site) -> Site:
    """Longhorn as its chart installs it, manager and driver deployer ready."""
    await cluster.namespace(SPACE)
    await cluster.account("longhorn-service-account", SPACE)
    await cluster.definitions("longhorn")
    defaults = "default-replica-count: 1\npriority-class: \ndisable-revision-counter: true"
    files = {"default-setting.yaml": defaults}
    await cluster.client.create(CONFIG_MAPS, config_map("longhorn-default-setting", **files))
    await cluster.client.create(CONFIG_MAPS, config_map("longhorn-storageclass", **{"storageclass.yaml": CLASS}))
    labels = {"app": "longhorn-manager"}
    await cluster.pod("manager", MANAGER, SPACE, address="10.42.0.5", command=DAEMON, labels=labels)
    parts = ("ATTACHER", "PROVISIONER", "RESIZER", "SNAPSHOTTER", "NODE_DRIVER_REGISTRAR", "LIVENESS_PROBE")
    environment = [{"name": f"CSI_{each}_IMAGE", "value": f"longhornio/{each.lower()}:v1"} for each in parts]
    environment.append({"name": "CSI_SNAPSHOTTER_REPLICA_COUNT", "value": "2"})
    await cluster.pod("deployer", MANAGER, SPACE, address="10.42.0.6", command=DEPLOYER, env=environment)
    await cluster.endpoint(resources.ADMISSION_SERVICE, SPACE, "10.42.0.5", 9502, 9502)
    cluster.start(storage.controllers, "longhorn-manager")
    return cluster


async def driver(site: Site) -> None:
    """The CSI controllers' pods, as the Deployments would bring them."""
    for number, part in enumerate(("attacher", "provisioner", "resizer"), start=20):
        await site.pod(part, f"longhornio/csi-{part}:v1", SPACE, address=f"10.42.0.{number}")
    await site.wait(STORAGE_CLASSES, "longhorn", lambda obj: True)
    await site.wait(resources.LONGHORN_NODES, "n1", lambda obj: bool(obj.get("status")), SPACE)


async def bound(site: Site, name: str = "data") -> Object:
    """Create a claim and do what the volume binder does."""
    made = await site.client.create(PERSISTENT_VOLUME_CLAIMS, claim(name))
    volume = f"pvc-{objects.uid(made)}"
    await site.wait(PERSISTENT_VOLUMES, volume, lambda obj: True)
    await site.client.patch(PERSISTENT_VOLUME_CLAIMS, name, "default", {"spec": {"volumeName": volume}})
    status = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    await site.client.patch(PERSISTENT_VOLUME_CLAIMS, name, "default", {"status": status}, subresource="status")
    await site.client.patch(PERSISTENT_VOLUMES, volume, None, {"status": {"phase": "Bound"}}, subresource="status")
    return await site.client.get(PERSISTENT_VOLUMES, volume)


async def test_the_manager_makes_what_the_real_one_makes_at_its_start(longhorn: Site) -> None:
    await longhorn.wait(
        resources.SETTINGS,
        "default-replica-count",
        lambda obj: obj.get("value") == "1" and bool((obj.get("status") or {}).get("applied")),
        SPACE,
    )
    await longhorn.wait(STORAGE_CLASSES, "longhorn", lambda obj: obj["parameters"]["numberOfReplicas"] == "1")
    await longhorn.wait(STORAGE_CLASSES, "longhorn-static", lambda obj: True)
    image = resources.engine_image("longhornio/longhorn-engine:v1.9.1")
    await longhorn.wait(DAEMON_SETS, f"engine-image-{image}", lambda obj: True, SPACE)
    name = resources.instance_manager("n1", "longhornio/longhorn-instance-manager:v1.9.1")
    pod = await longhorn.wait(PODS, name, lambda obj: True, SPACE)
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "InstanceManager"
    await longhorn.wait(resources.BACKUP_TARGETS, "default", lambda obj: True, SPACE)
    node = await longhorn.wait(resources.LONGHORN_NODES, "n1", lambda obj: bool(obj.get("status")), SPACE)
    assert node["status"]["diskStatus"]["default-disk"]["storageMaximum"] == 64 << 30


async def test_the_driver_deployer_makes_four_controllers_and_the_plugin(longhorn: Site) -> None:
    await longhorn.wait(DAEMON_SETS, "longhorn-csi-plugin", lambda obj: True, SPACE)
    counts = {}
    for part in ("attacher", "provisioner", "resizer", "snapshotter"):
        found = await longhorn.wait(DEPLOYMENTS, f"csi-{part}", lambda obj: True, SPACE)
        counts[part] = found["spec"]["replicas"]
    assert counts == {"attacher": 3, "provisioner": 3, "resizer": 3, "snapshotter": 2}
    assert (await longhorn.client.get(CSI_DRIVERS, resources.DRIVER))["spec"]["attachRequired"]


async def test_the_manager_is_labelled_for_the_services_and_writes_its_webhooks(longhorn: Site) -> None:
    label = "longhorn.io/admission-webhook"
    await longhorn.wait(
        PODS, "manager", lambda obj: objects.labels(obj).get(label) == "longhorn-admission-webhook", SPACE
    )
    found = await longhorn.wait(VALIDATING_WEBHOOKS, webhook.VALIDATOR, lambda obj: True)
    assert found["webhooks"][0]["failurePolicy"] == "Fail"
    assert {("10.42.0.5", port) for port in (9500, 9501, 9502)} == set(longhorn.addresses.sockets)
    await longhorn.set_ready("manager", SPACE, "10.42.0.5", ready=False)
    async with asyncio.timeout(45):
        await longhorn.addresses.silent.wait()


async def test_a_claim_becomes_a_volume_with_a_folder(longhorn: Site) -> None:
    await driver(longhorn)
    volume = await bound(longhorn)
    name = objects.name(volume)
    assert volume["spec"]["csi"]["driver"] == "driver.longhorn.io"
    assert volume["spec"]["csi"]["volumeHandle"] == name
    assert (longhorn.config.claims / name).is_dir()
    found = await longhorn.wait(
        resources.LONGHORN_VOLUMES, name, lambda obj: (obj.get("status") or {}).get("state") == "detached", SPACE
    )
    assert found["spec"]["size"] == str(1 << 30)
    assert found["spec"]["numberOfReplicas"] == 1
    replicas = await longhorn.client.list(resources.REPLICAS, SPACE)
    assert [each["spec"]["nodeID"] for each in replicas.items] == ["n1"]


async def test_a_volume_is_attached_while_a_pod_uses_it(longhorn: Site) -> None:
    await driver(longhorn)
    volume = await bound(longhorn)
    name = objects.name(volume)
    spec: dict[str, Any] = {
        "nodeName": "n1",
        "containers": [{"name": "app", "image": "app:1"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "namespace": "default"}, "spec": spec}
    await longhorn.client.create(PODS, pod)
    attached = await longhorn.until(
        VOLUME_ATTACHMENTS,
        lambda: next(
            (e for e in longhorn.informers.of(VOLUME_ATTACHMENTS).list() if (e.get("status") or {}).get("attached")),
            None,
        ),
    )
    assert attached["spec"] == {
        "attacher": resources.DRIVER,
        "nodeName": "n1",
        "source": {"persistentVolumeName": name},
    }
    found = await longhorn.wait(
        resources.LONGHORN_VOLUMES, name, lambda obj: (obj.get("status") or {}).get("state") == "attached", SPACE
    )
    assert found["status"]["robustness"] == "healthy"
    await longhorn.client.delete(PODS, "app", "default", grace_period=0)
    await longhorn.wait(resources.LONGHORN_VOLUMES, name, lambda obj: obj["status"]["state"] == "detached", SPACE)


async def test_a_claim_grows_its_volume(longhorn: Site) -> None:
    await driver(longhorn)
    volume = await bound(longhorn)
    grown = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    await longhorn.client.patch(PERSISTENT_VOLUME_CLAIMS, "data", "default", grown)
    size = str(2 << 30)
    await longhorn.wait(
        PERSISTENT_VOLUMES, objects.name(volume), lambda obj: obj["spec"]["capacity"]["storage"] == "2Gi"
    )
    await longhorn.wait(
        PERSISTENT_VOLUME_CLAIMS, "data", lambda obj: obj["status"]["capacity"]["storage"] == "2Gi", "default"
    )
    await longhorn.wait(
        resources.LONGHORN_VOLUMES, objects.name(volume), lambda obj: obj["spec"]["size"] == size, SPACE
    )


async def test_a_released_volume_is_removed_with_its_data(longhorn: Site) -> None:
    await driver(longhorn)
    volume = await bound(longhorn)
    name = objects.name(volume)
    (longhorn.config.claims / name / "file").write_text("data")
    await longhorn.client.patch(PERSISTENT_VOLUMES, name, None, {"status": {"phase": "Released"}}, subresource="status")
    volumes = longhorn.informers.of(PERSISTENT_VOLUMES)

    def let_go() -> bool | None:
        found = volumes.get(None, name)
        # the protection is taken away by a controller of Kubernetes, which this test does not run
        protection = ["kubernetes.io/pv-protection"]
        over = found is None or (objects.deleting(found) and list(objects.finalizers(found)) == protection)
        return over or None

    await longhorn.until(PERSISTENT_VOLUMES, let_go)
    assert not (longhorn.config.claims / name).exists()
    assert not (await longhorn.client.list(resources.LONGHORN_VOLUMES, SPACE)).items


async def test_the_deployers_init_container_waits_for_an_endpoint_of_the_manager(longhorn: Site) -> None:
    deployer = await longhorn.client.get(PODS, "deployer", SPACE)
    words = ("-c", 'until [ "$(curl http://longhorn-backend:9500/v1)" = 200 ]; do sleep 2; done')
    lines: list[str] = []
    waiting = asyncio.create_task(programs.run(longhorn.config.client_for, deployer, words, lines.append))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)
    await longhorn.endpoint(resources.BACKEND_SERVICE, SPACE, "10.42.0.5", 9500, 9500)
    assert await asyncio.wait_for(waiting, 10) == 0


async def test_uninstalling_is_refused_until_it_is_confirmed_and_then_leaves_nothing(longhorn: Site) -> None:
    await longhorn.wait(resources.SETTINGS, resources.DELETING_CONFIRMATION, lambda obj: True, SPACE)
    await longhorn.wait(DAEMON_SETS, "longhorn-csi-plugin", lambda obj: True, SPACE)
    lines: list[str] = []
    assert await programs.uninstall(longhorn.client, SPACE, lines.append) == 1
    assert "deleting-confirmation-flag is set to `false`" in lines[-1]
    assert (await longhorn.client.list(resources.SETTINGS, SPACE)).items
    patch = {"value": "true"}
    await longhorn.client.patch(resources.SETTINGS, resources.DELETING_CONFIRMATION, SPACE, patch)
    for name in ("manager", "deployer"):
        await longhorn.client.delete(PODS, name, SPACE, grace_period=0)
    assert await programs.uninstall(longhorn.client, SPACE, lines.append) == 0
    for resource in (*resources.ALL, DEPLOYMENTS, DAEMON_SETS):
        assert not (await longhorn.client.list(resource, SPACE)).items, resource.plural
    assert not (await longhorn.client.list(VALIDATING_WEBHOOKS)).items


def test_a_setting_of_the_wrong_type_is_refused() -> None:
    setting = {"metadata": {"name": "default-replica-count"}, "value": "many"}
    request = {"kind": {"kind": "Setting"}, "operation": "UPDATE", "object": setting}
    verdict = webhook.validate(request)
    assert isinstance(verdict, Denied)
    assert "default-replica-count is not a number" in verdict.message
    assert isinstance(webhook.validate({**request, "object": {**setting, "value": "2"}}), Allowed)
