"""Flux's controllers on a real API server, a real Git repository behind the real mirror, and a virtual clock.

async with world(tmp_path) as flux:
    flux.repository.commit("first", {"apps/a.yaml": CONFIG})
    await flux.source()
    await flux.kustomization("apps", path="./apps", prune=True)
    await flux.ready(KUSTOMIZATIONS, "apps")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support.apiserver import authority, running
from tests.support.repository import Repository
from typing_extensions import override

import nerv.components.flux
from nerv import documents
from nerv.apiserver.identity import ADMIN, User
from nerv.builders import ssh
from nerv.controllers import flux
from nerv.controllers.flux.api import GIT_REPOSITORIES, KUSTOMIZATIONS, READY, REQUESTED_AT
from nerv.controllers.runtime import Controller, Informers, VirtualClock
from nerv.controllers.runtime.clock import Timer
from nerv.controllers.serving import Exposure
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, EVENTS, NAMESPACES, Resource
from nerv.mirror import ChartOrigin, Mirror, MirrorConfig

T = TypeVar("T")

URL = "https://git.example.test/you/home.git"
SSH_URL = "ssh://git@git.example.test/you/home.git"
HOST_KEY = ssh.generate()
"""By which the mirror is known over SSH."""
CHARTS = "https://charts.example.test/stable"
NAMESPACE = "flux-system"
PATIENCE = 45.0
"""Seconds until a test says what it still waits for."""
_DEFINITIONS = Path(nerv.components.flux.__file__).with_name("crds.yaml")


class AskedClock(VirtualClock):
    """A virtual clock that tells what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self.changed = asyncio.Event()

    @override
    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.asked.append(seconds)
        self.changed.set()
        return super().call_later(seconds, callback)


@dataclass
class World:
    """What a test holds in its hands. Objects live in the namespace flux-system unless said otherwise."""

    client: Client
    informers: Informers
    clock: AskedClock
    repository: Repository
    mirror: Mirror
    controllers: tuple[Controller, ...]
    storage: Path

    async def create(self, resource: Resource, name: str, spec: Object, **metadata: Any) -> Object:
        """Create an object with a spec."""
        obj = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
            "spec": spec,
        }
        return await self.client.create(resource, obj)

    async def source(self, name: str = "home", **spec: Any) -> Object:
        """A GitRepository of the world's repository."""
        return await self.create(
            GIT_REPOSITORIES, name, {"url": URL, "interval": "1m0s", "ref": {"branch": "main"}, **spec}
        )

    async def kustomization(self, name: str, **spec: Any) -> Object:
        """A Kustomization of the source `home`."""
        reference = {"kind": "GitRepository", "name": "home"}
        return await self.create(
            KUSTOMIZATIONS, name, {"interval": "10m0s", "prune": True, "sourceRef": reference, **spec}
        )

    def get(self, resource: Resource, name: str, namespace: str | None = NAMESPACE) -> Object | None:
        """As the informer has it."""
        return self.informers.of(resource).get(namespace if resource.namespaced else None, name)

    async def read(self, resource: Resource, name: str, namespace: str = "default") -> Object | None:
        """As the API server has it."""
        try:
            return await self.client.get(resource, name, namespace if resource.namespaced else None)
        except errors.NotFound:
            return None

    async def timer(self, seconds: float) -> None:
        """Wait until somebody asked to be called back after so many seconds."""
        async with asyncio.timeout(PATIENCE):
            while seconds not in self.clock.asked:
                self.clock.changed.clear()
                await self.clock.changed.wait()

    async def patch(self, resource: Resource, name: str, patch: Object, *, subresource: str = "") -> Object:
        """Merge-patch."""
        namespace = NAMESPACE if resource.namespaced else None
        return await self.client.patch(resource, name, namespace, patch, subresource=subresource)

    async def request(self, resource: Resource, name: str, token: str) -> Object:
        """Ask for a reconciliation and wait until it was done."""
        await self.patch(resource, name, {"metadata": {"annotations": {REQUESTED_AT: token}}})
        return await self.wait(resource, name, lambda obj: obj.get("status", {}).get("lastHandledReconcileAt") == token)

    async def ready(self, resource: Resource, name: str, revision: str = "") -> Object:
        """Wait until Ready is True (and `revision`, if given, is in its message) and nothing goes on."""

        def holds(obj: Object) -> bool:
            found = objects.condition(obj, READY) or {}
            done = objects.condition(obj, "Reconciling") is None
            return found.get("status") == "True" and revision in found.get("message", "") and done

        return await self.wait(resource, name, holds)

    async def failed(self, resource: Resource, name: str, reason: str) -> str:
        """Wait until Ready is False for that reason. Returns the message."""

        def holds(obj: Object) -> bool:
            found = objects.condition(obj, READY) or {}
            return (found.get("status"), found.get("reason")) == ("False", reason)

        obj = await self.wait(resource, name, holds)
        found = objects.condition(obj, READY)
        assert found is not None
        return str(found["message"])

    async def wait(
        self,
        resource: Resource,
        name: str,
        holds: Callable[[Object], bool] = lambda obj: True,
        namespace: str = NAMESPACE,
    ) -> Object:
        """Wait until the object exists and `holds`. AssertionError with its last state after `PATIENCE`."""

        def found() -> Object | None:
            obj = self.get(resource, name, namespace)
            return obj if obj is not None and holds(obj) else None

        return await self.until(resource, found, name)

    async def gone(self, resource: Resource, name: str, namespace: str = NAMESPACE) -> None:
        """Wait until the object does not exist."""
        await self.until(resource, lambda: self.get(resource, name, namespace) is None or None, name)

    async def until(self, resource: Resource, found: Callable[[], T | None], name: str = "") -> T:
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
            present = {objects.name(each): each.get("status") or each.get("message") for each in informer.list()}
            raise AssertionError(f"still waiting for {name}; {resource.plural} are {present}") from None
        finally:
            stop()

    async def settle(self) -> None:
        """Wait until no controller has anything to do now. For asserting that something does not happen."""
        quiet = 0
        while quiet < 20:
            await asyncio.sleep(0.005)
            quiet = 0 if any(controller.busy for controller in self.controllers) else quiet + 1

    async def event(self, kind: str, name: str, type: str, reason: str, message: str) -> Object:
        """Wait for an event whose message contains `message`."""

        def found() -> Object | None:
            return next(
                (
                    each
                    for each in self.informers.of(EVENTS).list(NAMESPACE)
                    if (each["involvedObject"]["kind"], each["involvedObject"]["name"]) == (kind, name)
                    and (each["type"], each["reason"]) == (type, reason)
                    and message in each["message"]
                ),
                None,
            )

        return await self.until(EVENTS, found, f"{type} event {reason} {message!r} of {kind} {name}")


def config_map(name: str, namespace: str = "default", **data: str) -> str:
    """A manifest."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}
    return documents.dump(obj)


async def install(client: Client) -> None:
    """The definitions of Flux's kinds, and its namespace."""
    for definition in documents.load_all(_DEFINITIONS.read_bytes()):
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await client.create(NAMESPACES, namespace)


@asynccontextmanager
async def world(
    folder: Path,
    charts: tuple[ChartOrigin, ...] = (),
    *,
    url: str = URL,
    mirrored: bool = True,
    exposure: Exposure | None = None,
) -> AsyncIterator[World]:
    """Everything running, with an empty repository, which the mirror serves as `url` unless it is not `mirrored`."""
    repository = Repository(folder / "home")
    repository.commit("empty")
    clock = AskedClock()
    async with running(folder) as server:
        client = server.direct(ADMIN)
        await install(client)
        mirror = Mirror(
            MirrorConfig(
                repository=repository.path if mirrored else None,
                repository_url=url,
                branch="main",
                charts=charts,
                kept=folder / "charts",
                ca=authority(),
                unix=folder / "m.sock",
                ssh=folder / "s.sock",
                proxy=folder / "p.sock",
                ssh_host_key=HOST_KEY.private,
                ca_bundle=folder / "bundle.pem",
                offline=True,
            ),
            client,
        )
        await mirror.start()
        informers = Informers(client)

        def impersonate(namespace: str, name: str) -> Client:
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            return server.direct(User(f"system:serviceaccount:{namespace}:{name}", groups))

        config = flux.FluxConfig(
            storage=folder / "storage",
            outside=flux.Outside(mirror.proxy_url, mirror.ca_file),
            clock=clock,
            impersonate=impersonate,
            exposure=exposure,
        )
        controllers = flux.controllers(client, informers, config)
        tasks = [asyncio.create_task(controller.run(), name=controller.name) for controller in controllers]
        try:
            yield World(client, informers, clock, repository, mirror, controllers, folder / "storage")
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await informers.stop()
            await mirror.stop()
            for result in results:
                if isinstance(result, Exception) and not isinstance(result, errors.ApiError):
                    raise result
