"""A cluster with helm-controller for tests: `tests.support.controllers.cluster` with Flux's definitions, a node, our
helm-controller, and `Shelf`, which stands for the world that sources fetch charts from.

    async with flux(tmp_path) as world:
        world.shelf.put(chart(tmp_path, templates={"cm.yaml": CONFIG_MAP}))
        await world.release("app")
        await world.ready("app")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.controllers import World, cluster

import nerv.components.flux
from nerv import documents
from nerv.builders import helm
from nerv.controllers.flux.api import HELM_CHARTS, HELM_RELEASES
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.helm import HelmConfig, controller
from nerv.controllers.runtime import VirtualClock
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, EVENTS

_KINDS = ("HelmRelease", "HelmChart", "OCIRepository")


def chart(
    folder: Path,
    name: str = "demo",
    version: str = "1.0.0",
    *,
    templates: Mapping[str, str] | None = None,
    crds: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
    schema: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> bytes:
    """A packed chart, written as a folder first."""
    place = folder / "charts" / f"{name}-{version}"
    files = {f"templates/{path}": text for path, text in (templates or {}).items()}
    files |= {f"crds/{path}": text for path, text in (crds or {}).items()}
    files["Chart.yaml"] = documents.dump({"apiVersion": "v2", "name": name, "version": version, **(metadata or {})})
    files["values.yaml"] = documents.dump(dict(values or {}))
    if schema:
        files["values.schema.json"] = schema
    for path, text in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    return helm.package(place)


@dataclass
class Shelf:
    """Charts by name and version; answers HelmChart objects as a source controller does."""

    client: Client
    storage: Storage
    charts: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def put(self, archive: bytes) -> None:
        """Offer a chart."""
        loaded = helm.load(archive)
        self.charts[loaded.name, loaded.version] = archive

    async def answer(self, obj: Object) -> None:
        """Fetch what a HelmChart asks for, if it is offered."""
        spec, status = obj["spec"], obj.get("status") or {}
        archive = self.charts.get((spec["chart"], spec["version"]))
        if archive is None or status.get("observedGeneration") == objects.generation(obj):
            return
        file_name = f"{spec['chart']}-{spec['version']}.tgz"
        namespace, name = objects.namespace(obj), objects.name(obj)
        artifact = self.storage.store("HelmChart", namespace, name, spec["version"], file_name, archive)
        patch = {"status": {"observedGeneration": objects.generation(obj), "artifact": artifact}}
        try:
            await self.client.patch(HELM_CHARTS, name, namespace, patch, subresource="status")
        except errors.NotFound:
            return


@dataclass
class FluxWorld:
    """What a test holds in its hands; `base` is the cluster below."""

    base: World
    shelf: Shelf

    @property
    def client(self) -> Client:
        return self.base.client

    async def release(
        self, name: str, *, version: str = "1.0.0", chart: str = "demo", namespace: str = "default", **spec: Any
    ) -> Object:
        """Create a HelmRelease."""
        source = {"kind": "HelmRepository", "name": "shelf"}
        whole = {
            "interval": "10m",
            "timeout": "30s",
            "chart": {"spec": {"chart": chart, "version": version, "sourceRef": source}},
            **spec,
        }
        if whole["chart"] is None:
            del whole["chart"]
        obj: Object = {"metadata": {"name": name, "namespace": namespace}, "spec": whole}
        obj |= {"apiVersion": HELM_RELEASES.api_version, "kind": "HelmRelease"}
        return await self.client.create(HELM_RELEASES, obj)

    async def change(self, name: str, spec: Object, namespace: str = "default") -> Object:
        """Merge-patch a HelmRelease's spec."""
        return await self.client.patch(HELM_RELEASES, name, namespace, {"spec": spec})

    async def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        """Ask something of a HelmRelease."""
        await self.client.patch(HELM_RELEASES, name, "default", {"metadata": {"annotations": dict(annotations)}})

    async def until(
        self, name: str, holds: Callable[[Object], bool], namespace: str = "default", *, settled: bool = True
    ) -> Object:
        """Wait until the HelmRelease holds; `settled`: and nothing is being done for it."""

        def good(obj: Object) -> bool:
            if settled and objects.is_true(obj, "Reconciling"):
                return False
            return holds(obj)

        return await self.base.wait(HELM_RELEASES, name, good, namespace)

    async def ready(self, name: str, namespace: str = "default") -> Object:
        """Wait until the HelmRelease is ready in its present generation."""

        def holds(obj: Object) -> bool:
            observed = (obj.get("status") or {}).get("observedGeneration") == objects.generation(obj)
            return observed and objects.is_true(obj, "Ready")

        return await self.until(name, holds, namespace)

    async def events(self, name: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of a HelmRelease's events."""
        listed = await self.client.list(EVENTS, "default", field_selector=f"involvedObject.name={name}")
        return [(each["type"], each["reason"], each["message"]) for each in listed.items]


def statuses(obj: Object) -> dict[str, str]:
    """The status of every condition, by type."""
    return {each["type"]: each["status"] for each in (obj.get("status") or {}).get("conditions") or ()}


def message(obj: Object, type: str) -> str:
    """The message of a condition, or an empty string."""
    found = objects.condition(obj, type)
    return str(found["message"]) if found else ""


async def _flow(clock: VirtualClock) -> None:
    """Let virtual time pass, so that short back-offs end; hours pass by `clock.advance` alone."""
    while True:
        await asyncio.sleep(0.01)
        clock.advance(0.01)


@asynccontextmanager
async def flux(folder: Path, **config: Any) -> AsyncIterator[FluxWorld]:
    """A running cluster with one node and helm-controller."""
    async with cluster(folder) as base:
        await base.node("n1")
        text = (Path(nerv.components.flux.__file__).parent / "crds.yaml").read_text()
        for definition in documents.load_all(text):
            if definition["spec"]["names"]["kind"] in _KINDS:
                await base.client.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
        storage = Storage(folder / "artifacts", "source-controller", base.clock)
        shelf = Shelf(base.client, storage)
        informer = base.informers.of(HELM_CHARTS)
        asked: set[asyncio.Task[None]] = set()

        def look(old: Object | None, new: Object | None) -> None:
            if new is not None:
                task = asyncio.create_task(shelf.answer(new))
                asked.add(task)
                task.add_done_callback(asked.discard)

        informer.on_change(look)
        helm_controller = controller(base.client, base.informers, HelmConfig(storage, base.clock, **config))
        running = asyncio.create_task(helm_controller.run())
        flowing = asyncio.create_task(_flow(base.clock))
        try:
            yield FluxWorld(base, shelf)
        finally:
            running.cancel()
            flowing.cancel()
            await asyncio.gather(running, flowing, *asked, return_exceptions=True)
