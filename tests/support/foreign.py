"""A cluster that NERV did not start: an API server reached by kubeconfig alone, with objects as Flux, K3s and the
kubelet leave them on real machines (conditions and reasons of Flux 2.6, no annotation of NERV's).

One thing is wrong in it: an image of Longhorn's UI cannot be pulled, so the release, `apps` and what depends on it
wait.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support import apiserver
from tests.support.flux import install

from nerv import process
from nerv.apiserver.identity import ADMIN
from nerv.apiserver.server import ApiServer
from nerv.builders.helm import Release, releases
from nerv.cli import boundary
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object

REVISION = "main@sha1:0f0ab0c4c1a1ee2f7ed6cfa3b1e9a8f0d1c2b3a4"
PULL = 'Back-off pulling image "longhornio/longhorn-ui:v1.9.1"'
_TIME = "2026-11-25T12:00:00Z"
_OWNER = "kustomize.toolkit.fluxcd.io"


def ready(status: str, reason: str, message: str, kind: str = "Ready") -> Object:
    """A condition."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": _TIME,
        "observedGeneration": 1,
    }


def obj(api_version: str, kind: str, key: str, *, spec: Any = None, status: Any = None, **metadata: Any) -> Object:
    """An object; `key` is namespace/name, or a name alone."""
    namespace, _, name = key.rpartition("/")
    place = {"namespace": namespace} if namespace else {}
    meta = {"name": name, **place, "uid": f"{kind}-{key}".lower(), "generation": 1, "creationTimestamp": _TIME}
    made: Object = {"apiVersion": api_version, "kind": kind, "metadata": meta | metadata}
    if spec is not None:
        made["spec"] = spec
    if status is not None:
        made["status"] = status
    return made


def owned(owner: Object) -> list[Object]:
    """`ownerReferences` of what a controller made for `owner`."""
    meta = owner["metadata"]
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return [{**reference, "controller": True}]


def applied_by(name: str) -> dict[str, str]:
    """The labels of what a Kustomization applied."""
    return {f"{_OWNER}/name": name, f"{_OWNER}/namespace": "flux-system"}


def source() -> Object:
    status = {
        "observedGeneration": 1,
        "artifact": {
            "revision": REVISION,
            "digest": "sha256:00",
            "path": "x",
            "url": "http://x",
            "lastUpdateTime": _TIME,
        },
        "conditions": [
            ready("True", "Succeeded", f"stored artifact for revision '{REVISION}'"),
            ready("True", "Succeeded", f"stored artifact for revision '{REVISION}'", "ArtifactInStorage"),
        ],
    }
    spec = {"url": "ssh://git@github.com/you/home", "interval": "1m0s", "ref": {"branch": "main"}}
    return obj("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system/flux-system", spec=spec, status=status)


def kustomization(name: str, condition: Object, inventory: list[str], **spec: Any) -> Object:
    """In flux-system; `inventory` holds ids as Flux writes them."""
    entries = [{"id": each, "v": "v2" if "helm.toolkit" in each else "v1"} for each in inventory]
    applied = {"lastAppliedRevision": REVISION} if condition["status"] == "True" else {}
    status = {
        "observedGeneration": 1,
        "conditions": [condition],
        "lastAttemptedRevision": REVISION,
        "inventory": {"entries": entries},
        **applied,
    }
    reference = {"kind": "GitRepository", "name": "flux-system"}
    full = {"interval": "10m0s", "path": f"./{name}", "prune": True, "sourceRef": reference, **spec}
    labels = applied_by("flux-system")
    key = f"flux-system/{name}"
    return obj("kustomize.toolkit.fluxcd.io/v1", "Kustomization", key, spec=full, status=status, labels=labels)


def release(name: str, condition: Object, *more: Object) -> Object:
    """A HelmRelease in <name>-system, applied by `apps`."""
    space = f"{name}-system"
    chart = {"chart": name, "version": "1.9.1", "sourceRef": {"kind": "HelmRepository", "name": name}}
    history = {
        "chartName": name, "chartVersion": "1.9.1", "configDigest": "sha256:00", "digest": "sha256:00",
        "firstDeployed": _TIME, "lastDeployed": _TIME, "name": name, "namespace": space,
        "status": "failed", "version": 1,
    }  # fmt: skip
    status = {
        "observedGeneration": 1,
        "conditions": [condition, *more],
        "history": [history],
        "helmChart": f"{space}/{space}-{name}",
        "storageNamespace": space,
    }
    return obj(
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
        f"{space}/{name}",
        spec={"interval": "10m0s", "chart": {"spec": chart}},
        status=status,
        labels=applied_by("apps"),
    )


def chart(name: str) -> list[Object]:
    """The HelmRepository of a release and the HelmChart that its controller made."""
    version, space = "source.toolkit.fluxcd.io/v1", f"{name}-system"
    done = {"observedGeneration": 1, "conditions": [ready("True", "Succeeded", "stored artifact")]}
    reference = {"kind": "HelmRepository", "name": name}
    made = {"chart": name, "version": "1.9.1", "interval": "10m0s", "reconcileStrategy": "ChartVersion"}
    return [
        obj(
            version, "HelmRepository", f"{space}/{name}",
            spec={"url": f"https://charts.{name}.io", "interval": "1h0m0s"},
            status=done, labels=applied_by("apps"),
        ),
        obj(version, "HelmChart", f"{space}/{space}-{name}", spec={**made, "sourceRef": reference}, status=done),
    ]  # fmt: skip


def workload(key: str, image: str, *, pulled: bool) -> list[Object]:
    """A Deployment of one pod, its ReplicaSet and the pod; without its image the pod waits as the kubelet says it."""
    namespace, _, name = key.partition("/")
    labels = {"app": name}
    container = {"name": name, "image": image}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    count = int(pulled)
    available = ready(str(pulled), "MinimumReplicas", "Deployment has minimum availability.", "Available")
    if not pulled:
        available |= {
            "message": "Deployment does not have minimum availability.",
            "reason": "MinimumReplicasUnavailable",
        }
    reason = "NewReplicaSetAvailable" if pulled else "ReplicaSetUpdated"
    progressing = ready("True", reason, f'ReplicaSet "{name}-5d9" is progressing.', "Progressing")
    counts = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": count, "availableReplicas": count}
    helm = {
        "helm.toolkit.fluxcd.io/name": namespace.removesuffix("-system"),
        "helm.toolkit.fluxcd.io/namespace": namespace,
    }
    deployment = obj(
        "apps/v1", "Deployment", key, spec=spec, labels=helm,
        status={"observedGeneration": 1, **counts, "unavailableReplicas": 1 - count,
                "conditions": [available, progressing]},
    )  # fmt: skip
    replicas = obj(
        "apps/v1", "ReplicaSet", f"{key}-5d9", spec=spec, status={"replicas": 1}, ownerReferences=owned(deployment),
        labels=labels,
    )  # fmt: skip
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": PULL}}
    container_status = {
        "name": name, "image": image, "imageID": "", "ready": pulled, "restartCount": 0,
        "state": {"running": {"startedAt": _TIME}} if pulled else waiting,
    }  # fmt: skip
    said = "" if pulled else f"containers with unready status: [{name}]"
    conditions = [
        ready("True", "", "", "PodScheduled"),
        ready(str(pulled), "" if pulled else "ContainersNotReady", said),
    ]
    pod = obj(
        "v1", "Pod", f"{key}-5d9-x7k2p", spec={"nodeName": "nerv-1", **template["spec"]},
        status={"phase": "Running" if pulled else "Pending", "conditions": conditions,
                "containerStatuses": [container_status]},
        ownerReferences=owned(replicas), labels=labels,
    )  # fmt: skip
    return [deployment, replicas, pod]


def node() -> Object:
    conditions = [ready("True", "KubeletReady", "kubelet is posting ready status")]
    return obj(
        "v1",
        "Node",
        "nerv-1",
        spec={},
        status={"conditions": conditions, "nodeInfo": {"kubeletVersion": "v1.31.9+k3s1"}},
    )


def service() -> Object:
    ports = [{"name": "web", "port": 80, "protocol": "TCP"}, {"name": "websecure", "port": 443, "protocol": "TCP"}]
    status = {"loadBalancer": {"ingress": [{"ip": "192.168.1.111"}]}}
    return obj("v1", "Service", "traefik-system/traefik", spec={"type": "LoadBalancer", "ports": ports}, status=status)


def helm_secret() -> Object:
    """Helm's record of the release longhorn: where the objects of a release are read from."""
    manifest = (
        "---\n# Source: longhorn/templates/ui.yaml\napiVersion: apps/v1\nkind: Deployment\n"
        "metadata: {name: longhorn-ui}\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: longhorn-default-setting}\n"
    )
    info = releases.Info(first_deployed=_TIME, last_deployed=_TIME, status="failed")
    chart = {"metadata": {"name": "longhorn", "version": "1.9.1"}, "templates": [], "values": {}}
    made = Release("longhorn", "longhorn-system", 1, info, chart, {}, manifest, ())
    return releases.to_secret(made, datetime(2026, 11, 25, tzinfo=UTC), "longhorn-system")


def pulling() -> Object:
    """The kubelet's event."""
    about = {"apiVersion": "v1", "kind": "Pod", "namespace": "longhorn-system", "name": "longhorn-ui-5d9-x7k2p"}
    return {
        **obj("v1", "Event", "longhorn-system/longhorn-ui.1"),
        "involvedObject": {**about, "uid": "pod-longhorn-system/longhorn-ui-5d9-x7k2p"},
        "type": "Warning", "reason": "Failed", "count": 7, "firstTimestamp": _TIME, "lastTimestamp": _TIME,
        "message": 'Failed to pull image "longhornio/longhorn-ui:v1.9.1": lookup registry-1.docker.io: no such host',
        "source": {"component": "kubelet", "host": "nerv-1"},
    }  # fmt: skip


def everything() -> list[Object]:
    """The cluster's objects."""
    timed_out = (
        "Helm install failed for release longhorn-system/longhorn with chart longhorn@1.9.1: context deadline exceeded"
    )
    succeeded = "Helm install succeeded for release traefik-system/traefik.v1 with chart traefik@1.9.1"
    applied = ready("True", "ReconciliationSucceeded", f"Applied revision: {REVISION}")
    unhealthy = "timeout waiting for: [HelmRelease/longhorn-system/longhorn status: 'Failed']"
    return [
        source(),
        kustomization(
            "flux-system",
            applied,
            ["flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization",
             "flux-system_apps-config_kustomize.toolkit.fluxcd.io_Kustomization"],
            path="./clusters/home",
        ),
        kustomization(
            "apps",
            ready("False", "HealthCheckFailed", unhealthy),
            ["longhorn-system_longhorn_helm.toolkit.fluxcd.io_HelmRelease",
             "traefik-system_traefik_helm.toolkit.fluxcd.io_HelmRelease"],
            wait=True,
        ),
        kustomization(
            "apps-config",
            ready("False", "DependencyNotReady", "dependency 'flux-system/apps' is not ready"),
            [],
            dependsOn=[{"name": "apps"}],
        ),
        release(
            "longhorn",
            ready("False", "InstallFailed", timed_out),
            ready("False", "InstallFailed", timed_out, "Released"),
        ),
        release("traefik", ready("True", "InstallSucceeded", succeeded)),
        *chart("longhorn"),
        *chart("traefik"),
        node(),
        service(),
        *workload("longhorn-system/longhorn-ui", "longhornio/longhorn-ui:v1.9.1", pulled=False),
        *workload("traefik-system/traefik", "docker.io/traefik:v3.5.3", pulled=True),
        pulling(),
        helm_secret(),
    ]  # fmt: skip


@dataclass(frozen=True)
class Foreign:
    """The cluster of a test: its client as administrator, and the command line against it."""

    server: ApiServer
    client: Client
    kubeconfig: Path
    home: Path

    async def nerv(self, *arguments: str, code: int = 0, kubeconfig: Path | None = None) -> process.Completed:
        """`nerv ARGUMENTS --kubeconfig ...`, which must end with `code`."""
        return await run(*arguments, "--kubeconfig", str(kubeconfig or self.kubeconfig), code=code)

    def user(self, name: str) -> Path:
        """A kubeconfig of a user who may do nothing but what roles of the test allow."""
        return apiserver.kubeconfig(self.server, self.home, name, ())


async def run(*arguments: str, code: int = 0) -> process.Completed:
    """The command line in this process, on a thread and an event loop of its own; it must end with `code`."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        ended = await asyncio.to_thread(boundary.run, arguments)
    assert ended == code, f"{ended}\n{out.getvalue()}\n{err.getvalue()}"
    return process.Completed(ended, out.getvalue(), err.getvalue())


@asynccontextmanager
async def foreign(folder: Path, found: list[Object] | None = None) -> AsyncIterator[Foreign]:
    """The cluster with `found`, by default `everything()`."""
    places = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    with mock.patch.dict(os.environ, places):
        async with apiserver.running(folder, serving=apiserver.serving()) as server:
            client = server.direct(ADMIN)
            await install(client)
            for each in everything() if found is None else found:
                await put(client, each)
            yield Foreign(server, client, apiserver.kubeconfig(server, folder), folder)


async def put(client: Client, wanted: Object) -> None:
    """Create an object with its status. The server gives uids, so owners are named anew."""
    resource = await client.resource_for(wanted["apiVersion"], wanted["kind"])
    namespace = wanted["metadata"].get("namespace")
    if namespace:
        await _namespace(client, namespace)
    body = {**wanted, "metadata": {**wanted["metadata"]}}
    for key in ("uid", "creationTimestamp", "generation"):
        body["metadata"].pop(key, None)
    body["metadata"]["ownerReferences"] = [
        {**owner, "uid": (await _owner(client, owner, namespace))["metadata"]["uid"]}
        for owner in wanted["metadata"].get("ownerReferences", ())
    ]
    made = await client.create(resource, body)
    if "status" in wanted:
        await client.replace(resource, {**made, "status": wanted["status"]}, subresource="status")


async def _owner(client: Client, owner: Object, namespace: str | None) -> Object:
    return await client.get(await client.resource_for(owner["apiVersion"], owner["kind"]), owner["name"], namespace)


async def _namespace(client: Client, name: str) -> None:
    resource = await client.resource_for("v1", "Namespace")
    try:
        await client.create(resource, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    except errors.AlreadyExists:
        return
    account = obj("v1", "ServiceAccount", f"{name}/default")
    await client.create(await client.resource_for("v1", "ServiceAccount"), account)
