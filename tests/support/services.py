"""Add-ons in tests: a real API server, the controllers of one add-on, and pods that are ready when a test says so.

Webhooks really answer: what a component registers for an address is where the API server's egress leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.support.apiserver import running

from nerv import documents
from nerv.apiserver.identity import ADMIN, User
from nerv.apiserver.server import ApiServer
from nerv.controllers.runtime import Controller, Informers, VirtualClock
from nerv.controllers.services.context import Context, ServicesConfig
from nerv.kube import objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    ENDPOINT_SLICES,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)

T = TypeVar("T")
PATIENCE = 45.0
COMPONENTS = Path(__file__).parents[2] / "src/nerv/components"


@dataclass
class Addresses:
    """The cluster's network as far as webhooks need it: which address and port is answered at which socket."""

    sockets: dict[tuple[str, int], Path] = field(default_factory=dict)
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while nothing is registered, once something was."""

    async def register(self, address: str, port: int, unix: Path) -> None:
        """As `network.services.ServiceTable` does."""
        self.sockets[address, port] = unix
        self.silent.clear()

    async def unregister(self, address: str, port: int) -> None:
        """Take it back."""
        self.sockets.pop((address, port), None)
        if not self.sockets:
            self.silent.set()

    async def dial(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The API server's egress."""
        unix = self.sockets.get((host, port))
        if unix is None:
            raise ConnectionRefusedError(f"dial tcp {host}:{port}: connect: connection refused")
        return await asyncio.open_unix_connection(str(unix))


@dataclass
class Site:
    """What a test holds in its hands."""

    server: ApiServer
    client: Client
    informers: Informers
    clock: VirtualClock
    addresses: Addresses
    config: ServicesConfig
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, make: Callable[[Context], tuple[Controller, ...]], component: str) -> None:
        """Run the controllers of one add-on."""
        for each in make(Context.named(self.client, self.informers, self.config, component)):
            self.tasks.append(asyncio.create_task(each.run(), name=each.name))

    async def namespace(self, name: str) -> None:
        """Create a namespace with its default account."""
        await self.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await self.account("default", name)

    async def account(self, name: str, namespace: str) -> None:
        """Create a service account."""
        metadata = {"name": name, "namespace": namespace}
        await self.client.create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    async def definitions(self, room: str, namespace: str = "default") -> None:
        """Install the custom resource definitions of a stand-in chart without their conversion."""
        for document in documents.load_all((COMPONENTS / room / "standin/files/crds.yaml").read_text()):
            document["spec"].pop("conversion", None)
            await self.client.create(CUSTOM_RESOURCE_DEFINITIONS, document)

    async def node(self, name: str = "n1") -> None:
        """Register a ready node."""
        created = await self.client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        conditions = objects.set_condition([], "Ready", "True", "KubeletReady", "", None, self.clock.now())
        status = {"conditions": conditions, "capacity": {"ephemeral-storage": "64Gi"}}
        await self.client.replace(NODES, {**created, "status": status}, subresource="status")

    async def pod(
        self,
        name: str,
        image: str,
        namespace: str = "default",
        *,
        address: str = "10.42.0.2",
        labels: dict[str, str] | None = None,
        node: str = "n1",
        ready: bool = True,
        **container: object,
    ) -> Object:
        """A pod on a node, ready at once unless said otherwise."""
        spec = {"nodeName": node, "containers": [{"name": "main", "image": image, **container}]}
        metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        await self.client.create(PODS, pod)
        return await self.set_ready(name, namespace, address, ready)

    async def set_ready(self, name: str, namespace: str, address: str = "10.42.0.2", ready: bool = True) -> Object:
        """Write the status a kubelet would."""
        conditions = objects.set_condition([], "Ready", "True" if ready else "False", "", "", None, self.clock.now())
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}
        return await self.client.patch(PODS, name, namespace, {"status": status}, subresource="status")

    async def endpoint(
        self, service: str, namespace: str, address: str, port: int, target: int, name: str | None = None
    ) -> None:
        """A Service and the EndpointSlice of its one ready pod."""
        metadata = {"name": service, "namespace": namespace}
        spec = {"selector": {"app": service}, "ports": [{"port": port, "targetPort": target}]}
        await self.client.create(SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        labels = {"kubernetes.io/service-name": service}
        endpoints = [{"addresses": [address], "conditions": {"ready": True}, "nodeName": "n1"}]
        part = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "addressType": "IPv4",
            "metadata": {**metadata, "labels": labels},
            "endpoints": endpoints,
            "ports": [{"port": target, "protocol": "TCP", "name": ""}],
        }
        await self.client.create(ENDPOINT_SLICES, part)

    async def wait(
        self, resource: Resource, name: str, holds: Callable[[Object], bool], namespace: str | None = None
    ) -> Object:
        """Wait until the object exists and `holds`. AssertionError with its last state after `PATIENCE`."""

        def found() -> Object | None:
            obj = self.informers.of(resource).get(namespace, name)
            return obj if obj is not None and holds(obj) else None

        return await self.until(resource, found)

    async def until(self, resource: Resource, found: Callable[[], T | None]) -> T:
        """Wait until `found` gives something, looking whenever an object of `resource` changes."""
        informer = self.informers.of(resource)
        changed = asyncio.Event()
        stop = informer.on_change(lambda old, new: changed.set())
        try:
            async with asyncio.timeout(PATIENCE):
                await informer.synced.wait()
                while (result := found()) is None:
                    changed.clear()
                    await changed.wait()
            return result
        except TimeoutError:
            raise AssertionError(f"still waiting; {resource.plural} are {informer.list()}") from None
        finally:
            stop()


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """A cluster without anything in it."""
    addresses = Addresses()
    async with running(folder, egress=addresses.dial) as server:
        client = server.direct(ADMIN)
        informers = Informers(client)
        clock = VirtualClock()

        def client_for(user: str, groups: tuple[str, ...]) -> Client:
            return server.direct(User(user, groups))

        config = ServicesConfig(
            folder / "run", folder / "claims", addresses.register, addresses.unregister, client_for, clock
        )
        config.run_folder.mkdir()
        result = Site(server, client, informers, clock, addresses, config)
        try:
            yield result
        finally:
            for task in result.tasks:
                task.cancel()
            await asyncio.gather(*result.tasks, return_exceptions=True)
            await informers.stop()
