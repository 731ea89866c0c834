"""A small cluster for tests of controllers: a real API server, all controllers of controllers/kubernetes, a virtual
clock, and `Kubelet`, which stands for the machines: it starts pods and lets them go by patching the real API.

    async with cluster(tmp_path) as world:
        await world.node("n1")
        await world.create(DEPLOYMENTS, deployment("web"))
        await world.wait(DEPLOYMENTS, "web", lambda obj: obj["status"].get("readyReplicas") == 3)
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.support.apiserver import running

from nerv.apiserver.identity import ADMIN
from nerv.controllers.kubernetes import KubernetesConfig, controllers
from nerv.controllers.runtime import Controller, Informers, VirtualClock
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import LEASES, NODES, PODS, Resource

T = TypeVar("T")

PATIENCE = 45.0
"""Seconds until a test says what it still waits for."""


@dataclass
class Kubelet:
    """Runs the pods of all nodes. `phase` says what becomes of a pod: Pending, Running, Succeeded or Failed."""

    client: Client
    informers: Informers
    clock: VirtualClock
    phase: Callable[[Object], str] = lambda pod: "Running"
    ready: Callable[[Object], bool] = lambda pod: True
    lets_go: bool = True
    addresses: itertools.count[int] = field(default_factory=lambda: itertools.count(2))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self) -> None:
        """Follow the pods from now on."""
        self.informers.of(PODS).on_change(lambda old, new: self._look(new))

    def look_again(self) -> None:
        """Judge every pod anew, after `phase` or `ready` were changed."""
        for pod in self.informers.of(PODS).list():
            self._look(pod)

    async def stop(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _look(self, pod: Object | None) -> None:
        if pod is not None and pod["spec"].get("nodeName"):
            task = asyncio.create_task(self._sync(pod))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _sync(self, pod: Object) -> None:
        name, namespace = objects.name(pod), objects.namespace(pod)
        try:
            if objects.deleting(pod):
                if self.lets_go:
                    await self.client.delete(PODS, name, namespace, grace_period=0, uid=objects.uid(pod))
                return
            status = self._status(pod)
            if status is not None:
                patch = {"metadata": {"uid": objects.uid(pod)}, "status": status}
                await self.client.patch(PODS, name, namespace, patch, subresource="status")
        except (errors.NotFound, errors.Conflict):
            return

    def _status(self, pod: Object) -> Object | None:
        present = pod.get("status", {})
        phase = self.phase(pod)
        is_ready = phase == "Running" and self.ready(pod)
        if present.get("phase") in ("Succeeded", "Failed"):
            return None
        if present.get("phase") == phase and objects.is_true(pod, "Ready") == is_ready:
            return None
        if phase == "Pending":
            return None
        conditions = objects.set_condition(
            present.get("conditions") or [], "Ready", "True" if is_ready else "False", "", "", None, self.clock.now()
        )
        address = present.get("podIP") or f"10.42.0.{next(self.addresses)}"
        return {"phase": phase, "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}


@dataclass
class World:
    """What a test holds in its hands."""

    client: Client
    informers: Informers
    clock: VirtualClock
    kubelet: Kubelet
    controllers: tuple[Controller, ...]

    async def node(self, name: str, *, cpu: str = "64", pods: int = 500, labels: dict[str, str] | None = None) -> None:
        """Register a ready node with a fresh lease."""
        room = {"cpu": cpu, "memory": "64Gi", "pods": str(pods)}
        labels = {"kubernetes.io/hostname": name, **(labels or {})}
        node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        created = await self.client.create(NODES, node)
        conditions = objects.set_condition([], "Ready", "True", "KubeletReady", "", None, self.clock.now())
        status = {"capacity": room, "allocatable": room, "conditions": conditions}
        await self.client.replace(NODES, {**created, "status": status}, subresource="status")
        await self.renew(name)

    async def renew(self, node: str) -> None:
        """Renew a node's lease at the present moment."""
        lease: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": node, "renewTime": objects.micro_timestamp(self.clock.now())},
        }
        try:
            await self.client.create(LEASES, lease)
        except errors.AlreadyExists:
            await self.client.patch(LEASES, node, "kube-node-lease", {"spec": lease["spec"]})

    async def create(self, resource: Resource, obj: Object, namespace: str = "default") -> Object:
        """Create in `namespace` where the kind has one."""
        return await self.client.create(resource, obj, namespace=namespace if resource.namespaced else None)

    async def patch(self, resource: Resource, name: str, patch: Object, namespace: str = "default") -> Object:
        """Merge-patch."""
        return await self.client.patch(resource, name, namespace if resource.namespaced else None, patch)

    async def delete(self, resource: Resource, name: str, propagation: str = "Background") -> None:
        """Delete from namespace default."""
        await self.client.delete(resource, name, "default" if resource.namespaced else None, propagation=propagation)

    def get(self, resource: Resource, name: str, namespace: str = "default") -> Object | None:
        """As the informer has it."""
        return self.informers.of(resource).get(namespace if resource.namespaced else None, name)

    def list(self, resource: Resource, namespace: str = "default") -> list[Object]:
        """As the informer has them, by name."""
        found = self.informers.of(resource).list(namespace if resource.namespaced else None)
        return sorted(found, key=objects.name)

    async def wait(
        self, resource: Resource, name: str, holds: Callable[[Object], bool], namespace: str = "default"
    ) -> Object:
        """Wait until the object exists and `holds`. AssertionError with its last state after `PATIENCE`."""

        def found() -> Object | None:
            obj = self.get(resource, name, namespace)
            return obj if obj is not None and holds(obj) else None

        result = await self.until(resource, found)
        assert result is not None
        return result

    async def gone(self, resource: Resource, name: str, namespace: str = "default") -> None:
        """Wait until the object does not exist."""
        await self.until(resource, lambda: self.get(resource, name, namespace) is None or None)

    async def count(self, resource: Resource, number: int, holds: Callable[[Object], bool] = lambda obj: True) -> None:
        """Wait until `number` objects of namespace default hold."""
        await self.until(resource, lambda: sum(map(holds, self.list(resource))) == number or None)

    async def until(self, resource: Resource, found: Callable[[], T | None]) -> T:
        """Wait until `found` gives something, looking whenever an object of `resource` changes."""
        informer = self.informers.of(resource)
        await informer.synced.wait()
        changed = asyncio.Event()
        stop = informer.on_change(lambda old, new: changed.set())
        try:
            async with asyncio.timeout(PATIENCE):
                while (result := found()) is None:
                    changed.clear()
                    await changed.wait()
            return result
        except TimeoutError:
            present = [{"metadata": {"name": objects.name(each)}, "status": each.get("status")} for each in
                       informer.list()]  # fmt: skip
            raise AssertionError(f"still waiting; {resource.plural} are {present}") from None
        finally:
            stop()

    async def settle(self) -> None:
        """Wait until no controller has anything to do now. For asserting that something does not happen."""
        quiet = 0
        while quiet < 20:
            await asyncio.sleep(0.005)
            quiet = 0 if any(each.busy for each in self.controllers) or self.kubelet._tasks else quiet + 1


@asynccontextmanager
async def cluster(folder: Path, *, node_patience: float = 1e9) -> AsyncIterator[World]:
    """A running cluster without nodes. `node_patience`: seconds that a node may be silent, here for ever."""
    async with running(folder) as server:
        client = server.direct(ADMIN)
        clock = VirtualClock()
        informers = Informers(client)
        kubelet = Kubelet(client, informers, clock)
        config = KubernetesConfig(root_ca="the CA", clock=clock, node_monitor_grace_period=node_patience)
        all_controllers = controllers(client, informers, config)
        tasks = [asyncio.create_task(each.run(), name=each.name) for each in all_controllers]
        kubelet.start()
        try:
            yield World(client, informers, clock, kubelet, all_controllers)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await kubelet.stop()
            await informers.stop()


def template(labels: dict[str, str], image: str = "app:1", **spec: object) -> Object:
    """A pod template with one container."""
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}], **spec}}


def workload(kind: str, name: str, *, api_version: str = "apps/v1", image: str = "app:1", **spec: object) -> Object:
    """A workload that selects the pods labelled app=<name>."""
    labels = {"app": name}
    base: Object = {"selector": {"matchLabels": labels}, "template": template(labels, image)}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": {**base, **spec}}
