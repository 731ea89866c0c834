"""The stand-in charts with the controllers of Kubernetes and of the add-ons: exactly the pods of the real platform."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import helm_python as helm
import pytest
from tests.support.controllers import Kubelet
from tests.support.services import COMPONENTS, Site

from nerv import documents
from nerv.controllers import kubernetes
from nerv.controllers.kubernetes import KubernetesConfig
from nerv.controllers.presence import is_ready
from nerv.controllers.services import certificates, load_balancer, storage
from nerv.controllers.services.certificates import check
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import (
    ENDPOINT_SLICES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    NODES,
    PODS,
    STORAGE_CLASSES,
    VALIDATING_WEBHOOKS,
)


@pytest.fixture
async def platform(cluster: Site) -> AsyncIterator[Site]:
    """All controllers, and a kubelet that starts every pod."""
    kubelet = Kubelet(cluster.client, cluster.informers, cluster.clock)
    room = {"cpu": "64", "memory": "64Gi", "pods": "500", "ephemeral-storage": "64Gi"}
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": "n1"}
    node = await cluster.client.patch(NODES, "n1", None, {"metadata": {"labels": labels}})
    status = {**node["status"], "allocatable": room, "capacity": room}
    await cluster.client.replace(NODES, {**node, "status": status}, subresource="status")
    config = KubernetesConfig(root_ca="the CA", clock=cluster.clock)
    for each in kubernetes.controllers(cluster.client, cluster.informers, config):
        cluster.tasks.append(asyncio.create_task(each.run(), name=each.name))
    for component in (load_balancer, certificates, storage):
        cluster.start(component.controllers, component.__name__.rpartition(".")[2])
    kubelet.start()
    yield cluster
    await kubelet.stop()


async def install(site: Site, room: str, release: str, namespace: str, level: str, values: Object) -> None:
    """What Helm would send, definitions first, hooks left out."""
    labels = {"pod-security.kubernetes.io/enforce": level}
    metadata = {"name": namespace, "labels": labels}
    await site.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    with helm.Chart.load(str(COMPONENTS / room / "standin")) as chart:
        texts = chart.render(values, name=release, namespace=namespace)
    found = [each for text in texts.values() for each in documents.load_all(text)]
    found = [each for each in found if "helm.sh/hook" not in objects.annotations(each)]
    order = {"CustomResourceDefinition": 0, "ServiceAccount": 1, "PriorityClass": 1, "Secret": 1, "ConfigMap": 1}
    for each in sorted(found, key=lambda obj: order.get(obj["kind"], 2)):
        resource = await site.client.resource_for(each["apiVersion"], each["kind"])
        space = (objects.namespace(each) or namespace) if resource.namespaced else None
        await site.client.create(resource, each, namespace=space)


def ready(site: Site, namespace: str) -> Mapping[str, int]:
    """Ready pods by name without what is generated."""
    names = (objects.name(each) for each in site.informers.of(PODS).list(namespace) if is_ready(each))
    known = ("longhorn-manager", "longhorn-ui", "longhorn-driver-deployer", "longhorn-csi-plugin", "engine-image",
             "instance-manager", "csi-attacher", "csi-provisioner", "csi-resizer", "csi-snapshotter")  # fmt: skip
    return Counter(next((each for each in known if name.startswith(each)), name) for name in names)


async def test_longhorn_has_nineteen_pods_on_one_node(platform: Site) -> None:
    await install(platform, "longhorn", "longhorn", "longhorn-system", "privileged", {})
    expected = {
        "longhorn-manager": 1,
        "longhorn-driver-deployer": 1,
        "longhorn-ui": 2,
        "longhorn-csi-plugin": 1,
        "engine-image": 1,
        "instance-manager": 1,
        "csi-attacher": 3,
        "csi-provisioner": 3,
        "csi-resizer": 3,
        "csi-snapshotter": 3,
    }
    await platform.until(PODS, lambda: ready(platform, "longhorn-system") == expected or None)
    assert sum(expected.values()) == 19
    await platform.wait(STORAGE_CLASSES, "longhorn", lambda obj: True)


async def test_cert_manager_passes_its_own_start_up_check_with_real_webhooks(platform: Site) -> None:
    await install(platform, "cert_manager", "cert-manager", "cert-manager", "restricted", {"crds": {"enabled": True}})
    await platform.until(PODS, lambda: sum(ready(platform, "cert-manager").values()) == 3 or None)
    for resource in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS):
        await platform.wait(resource, "cert-manager-webhook", _has_bundle)
    slices = platform.informers.of(ENDPOINT_SLICES)
    await platform.until(ENDPOINT_SLICES, lambda: any(map(_serves, slices.list("cert-manager"))) or None)
    assert await check.check(platform.client, "cert-manager") == ""


def _has_bundle(configuration: Object) -> bool:
    return "caBundle" in configuration["webhooks"][0]["clientConfig"]


def _serves(part: Object) -> bool:
    ours = objects.labels(part).get("kubernetes.io/service-name") == "cert-manager-webhook"
    return ours and any((each.get("conditions") or {}).get("ready") for each in part.get("endpoints") or [])


async def test_metallb_has_two_pods_once_the_controller_made_the_speakers_secret(platform: Site) -> None:
    values = {"speaker": {"frr": {"enabled": False}}}
    await install(platform, "metallb", "metallb", "metallb-system", "privileged", values)
    await platform.until(PODS, lambda: sum(ready(platform, "metallb-system").values()) == 2 or None)
