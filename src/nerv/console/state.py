"""What the pages show: informers over the Kubernetes API and the same Status that `nerv status` prints."""

from __future__ import annotations

from dataclasses import dataclass

from nerv.controllers.runtime import Informers
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, Resource
from nerv.operations import events
from nerv.operations.events import Event
from nerv.operations.status import Status
from nerv.operations.watching import StatusWatch

VOLUMES = Resource("longhorn.io", "v1beta2", "volumes", "Volume")
REPLICAS = Resource("longhorn.io", "v1beta2", "replicas", "Replica")
LONGHORN_NODES = Resource("longhorn.io", "v1beta2", "nodes", "Node")
_SHOWN_EVENTS = 12


@dataclass(frozen=True)
class VolumeItem:
    """A Longhorn volume as the first page of the storage console shows it."""

    name: str
    state: str
    robustness: str
    size: int
    """bytes"""
    claim: str
    """namespace/name of the PersistentVolumeClaim, or empty"""
    replicas: tuple[str, ...]
    """node and state of each replica"""


class ConsoleState:
    """Live objects behind the pages. `version` grows with every change; pages redraw when it has grown."""

    def __init__(self, client: Client) -> None:
        self._informers = Informers(client)
        self._watch = StatusWatch(self._informers)
        self._volumes = self._watch.follow(VOLUMES)
        self._replicas = self._watch.follow(REPLICAS)
        self._disks = self._watch.follow(LONGHORN_NODES)
        self._events = self._watch.follow(EVENTS)

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._watch.version

    async def stop(self) -> None:
        """End all watches."""
        await self._informers.stop()

    def status(self) -> Status:
        """The platform's status now."""
        return self._watch.status()

    def volumes(self) -> list[VolumeItem]:
        """Longhorn's volumes by name."""
        by_volume: dict[str, list[Object]] = {}
        for replica in self._replicas.list():
            by_volume.setdefault(replica["spec"].get("volumeName", ""), []).append(replica)
        found = [_volume(volume, by_volume.get(volume["metadata"]["name"], [])) for volume in self._volumes.list()]
        return sorted(found, key=lambda volume: volume.name)

    def disks(self) -> list[tuple[str, str, int, int]]:
        """(node, path, bytes available, bytes in all) of every disk that Longhorn uses."""
        found = []
        for node in self._disks.list():
            for name, disk in (node.get("status", {}).get("diskStatus") or {}).items():
                path = (node["spec"].get("disks") or {}).get(name, {}).get("path", name)
                sizes = int(disk.get("storageAvailable", 0)), int(disk.get("storageMaximum", 0))
                found.append((node["metadata"]["name"], path, *sizes))
        return sorted(found)

    def events(self) -> list[Event]:
        """The newest events of Flux objects, newest first."""
        return events.select(filter(_is_flux, self._events.list()))[: -_SHOWN_EVENTS - 1 : -1]


def _volume(volume: Object, replicas: list[Object]) -> VolumeItem:
    spec, status = volume["spec"], volume.get("status", {})
    kubernetes = status.get("kubernetesStatus") or {}
    claim = f"{kubernetes.get('namespace', '')}/{kubernetes.get('pvcName', '')}".strip("/")
    return VolumeItem(
        name=volume["metadata"]["name"],
        state=status.get("state", ""),
        robustness=status.get("robustness", ""),
        size=int(spec.get("size", 0)),
        claim=claim,
        replicas=tuple(
            f"{replica['spec'].get('nodeID', '')} {(replica.get('status') or {}).get('currentState', '')}".strip()
            for replica in replicas
        ),
    )


def _is_flux(event: Object) -> bool:
    return "toolkit.fluxcd.io" in event.get("involvedObject", {}).get("apiVersion", "")
