"""A cluster that answers on a test machine: NERV's own API server at the machine's address, in the machine's network.

It stands where K3s would; what a real cluster's controllers write (nodes, pods, Flux's conditions) the test writes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support import apiserver
from tests.support.definitions import flux_definitions
from tests.support.machines import Machine, in_network_of

from nerv import certificates
from nerv.apiserver.identity import ADMIN
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import NAMESPACES, NODES, PODS
from nerv.operations.collect import KUSTOMIZATIONS

T = TypeVar("T")
PATIENCE = 30.0
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Ready",
    "message": "fine",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


@dataclass
class Cluster:
    """The API server of a test machine. `call` runs a coroutine with a client of it, from the test's own thread."""

    client: Client
    loop: asyncio.AbstractEventLoop
    kubeconfig: str

    def call(self, make: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(make(self.client), self.loop).result(PATIENCE)


@contextmanager
def cluster(machine: Machine, folder: Path) -> Iterator[Cluster]:
    """Serve at the machine's address, port 6443, until the end."""
    folder.mkdir(parents=True, exist_ok=True)
    ready = threading.Event()
    made: list[Cluster] = []
    problems: list[BaseException] = []
    stops: list[Callable[[], object]] = []

    async def serve() -> None:
        names = [machine.address, "127.0.0.1"]
        certificate = certificates.issue(apiserver.authority(), "kube-apiserver", names=names)
        settings = {"serving": certificate, "host": machine.address, "port": 6443}
        async with apiserver.running(folder, **settings) as server:
            text = apiserver.kubeconfig(server, folder).read_text()
            # K3s' own file names this machine
            text = text.replace(server.url, "https://127.0.0.1:6443").replace(": test", ": default")
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            stops.append(lambda: loop.call_soon_threadsafe(stop.set))
            made.append(Cluster(server.direct(ADMIN), loop, text))
            ready.set()
            await stop.wait()

    def work() -> None:
        try:
            in_network_of(machine.pid, serve)
        except BaseException as error:  # noqa: BLE001  told to the test below
            problems.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(PATIENCE), "waiting for the API server"
        if problems:
            raise problems[0]
        yield made[0]
    finally:
        for stop in stops:
            stop()
        thread.join()
    if problems:
        raise problems[0]


def node(name: str, *, server: bool = True, version: str = "v1.31.9+k3s1", ready: bool = True) -> Object:
    labels = {"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/etcd": "true"} if server else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {
            "conditions": [{**READY, "status": "True" if ready else "False"}],
            "nodeInfo": {"kubeletVersion": version},
        },
    }


async def add_node(client: Client, obj: Object) -> None:
    """A node with its status."""
    await client.create(NODES, obj)
    await client.patch(NODES, obj["metadata"]["name"], None, {"status": obj["status"]}, subresource="status")


def pod(name: str, node: str, namespace: str = "default", **changes: Any) -> Object:
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}], **changes.pop("spec", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **changes},
        "spec": spec,
    }


async def add_pod(client: Client, obj: Object, *, ready: bool = True) -> None:
    await client.create(PODS, obj)
    status = {"phase": "Running", "conditions": [{**READY, "status": "True" if ready else "False"}]}
    name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
    await client.patch(PODS, name, namespace, {"status": status}, subresource="status")


async def reconciled(client: Client, names: Mapping[str, bool] | None = None) -> None:
    """Flux's definitions, and Kustomizations that are Ready (or not)."""
    await flux_definitions(client)
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    for name, ready in (names or {"flux-system": True}).items():
        await client.create(
            KUSTOMIZATIONS,
            {
                "apiVersion": KUSTOMIZATIONS.api_version,
                "kind": "Kustomization",
                "metadata": {"name": name, "namespace": "flux-system"},
                "spec": {
                    "interval": "10m",
                    "prune": True,
                    "path": "./clusters/home",
                    "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
                },
            },
        )
        await set_ready(client, name, ready=ready)


async def set_ready(client: Client, name: str, *, ready: bool) -> None:
    """What a Kustomization's Ready condition says."""
    condition = {
        **READY,
        "status": "True" if ready else "False",
        "message": "Applied revision: main@sha1:1" if ready else "broken",
    }
    status = {"observedGeneration": 1, "conditions": [condition], "lastAppliedRevision": "main@sha1:1"}
    await client.patch(KUSTOMIZATIONS, name, "flux-system", {"status": status}, subresource="status")
