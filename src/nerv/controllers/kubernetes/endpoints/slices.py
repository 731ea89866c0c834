"""EndpointSlices: at most 100 endpoints each, changed as little as possible.

Behaviour of k8s.io/endpointslice 1.31; topology hints are not given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.endpoints import backends
from nerv.controllers.kubernetes.endpoints.backends import Backend, Port
from nerv.controllers.kubernetes.endpoints.selection import by_pod, is_selecting, selected
from nerv.controllers.kubernetes.podcontrol import is_namespace_terminating
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import ENDPOINT_SLICES, NODES, PODS, SERVICES

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
_LARGEST = 100


def endpoint_slices(context: Context) -> Controller:
    """The controller of the EndpointSlices of Services with a selector."""
    services = context.informers.of(SERVICES)
    pod_informer = context.informers.of(PODS)
    slices = context.informers.of(ENDPOINT_SLICES)
    slices.add_index("service", _service_values)
    nodes = context.informers.of(NODES)
    reconciler = _Slices(context, services, pod_informer, slices, nodes)
    watches = (
        Watch(services),
        Watch(pod_informer, by_pod(services)),
        Watch(slices, _service_of),
        Watch(nodes, _no_one),
    )
    return Controller("endpointslice-controller", reconciler.reconcile, watches, clock=context.clock)


def _no_one(old: Object | None, new: Object | None) -> Iterable[Key]:
    """Nodes are only read: a pod says itself where it runs."""
    return ()


def _service_values(obj: Object) -> tuple[tuple[str, str], ...]:
    name = objects.labels(obj).get(SERVICE_NAME)
    ours = objects.labels(obj).get(MANAGED_BY) == MANAGER
    return ((objects.namespace(obj), name),) if name and ours else ()


def _service_of(old: Object | None, new: Object | None) -> Iterable[Key]:
    obj = new if new is not None else old
    return [Key(*value) for value in _service_values(obj)] if obj is not None else ()


@dataclass(frozen=True)
class _Slices:
    context: Context
    services: Informer
    pods: Informer
    slices: Informer
    nodes: Informer

    async def reconcile(self, key: Key) -> Outcome:
        """Make a Service's slices show its pods. Slices of a Service that is gone are left to their owner reference."""
        service = self.services.get(key.namespace, key.name)
        if service is None or not is_selecting(service) or objects.deleting(service):
            return Done()
        present = [each for each in self.slices.indexed("service", tuple(key)) if not objects.deleting(each)]
        candidates = selected(service, self.pods)
        try:
            for family in backends.families(service):
                mine = [each for each in present if each["addressType"] == family]
                await self._write_family(service, family, backends.of(service, candidates, family), mine)
        except errors.ApiError as error:
            if not is_namespace_terminating(error):
                raise
        for each in present:
            if each["addressType"] not in backends.families(service):
                await self.context.writer.delete(ENDPOINT_SLICES, each)
        return Done()

    async def _write_family(self, service: Object, family: str, found: list[Backend], present: list[Object]) -> None:
        unused = {objects.name(each): each for each in present}
        groups = dict(backends.grouped(found)) or {(): []}
        for ports, members in groups.items():
            await self._write_group(service, family, ports, members, unused)
        for each in unused.values():
            await self.context.writer.delete(ENDPOINT_SLICES, each)

    async def _write_group(
        self, service: Object, family: str, ports: tuple[Port, ...], members: list[Backend], unused: dict[str, Object]
    ) -> None:
        """Endpoints stay in the slice they are in; new ones go where there is room, then into new slices."""
        wanted = {backend.address: self._endpoint(service, backend) for backend in members}
        same = [each for each in unused.values() if _ports_of(each) == ports]
        if not same and not members:
            same = [*unused.values()][:1]
        filled: list[tuple[Object, list[Object]]] = []
        for each in same:
            kept = []
            for endpoint in each.get("endpoints") or []:
                fresh = wanted.pop(endpoint["addresses"][0], None)
                if fresh is not None:
                    kept.append(fresh)
            filled.append((each, kept))
        waiting = [*wanted.values()]
        for _, kept in filled:
            room = _LARGEST - len(kept)
            kept += waiting[:room]
            waiting = waiting[room:]
        empty_ones = [entry for entry in filled if not entry[1]]
        # one slice stays even with nothing to show, so that the Service is known to have been looked at
        keep = filled if not members else [entry for entry in filled if entry not in empty_ones]
        for each, endpoints in keep[:1] if not members else keep:
            unused.pop(objects.name(each))
            await self._update(service, each, ports, endpoints)
        chunks = [waiting[start : start + _LARGEST] for start in range(0, len(waiting), _LARGEST)]
        if not members and not filled:
            chunks = [[]]
        for chunk in chunks:
            await self.context.writer.create(ENDPOINT_SLICES, self._slice(service, family, ports, chunk))

    async def _update(self, service: Object, present: Object, ports: tuple[Port, ...], endpoints: list[Object]) -> None:
        labels = {**objects.labels(present), **_labels(service)}
        if not backends.is_headless(service):
            labels.pop(HEADLESS, None)
        wanted = {**present, "endpoints": endpoints, "ports": _port_objects(ports)}
        wanted["metadata"] = {**present["metadata"], "labels": labels}
        before = {**present, "endpoints": present.get("endpoints") or [], "ports": present.get("ports") or []}
        if wanted != before:
            await self.context.writer.replace(ENDPOINT_SLICES, wanted)

    def _slice(self, service: Object, family: str, ports: tuple[Port, ...], endpoints: list[Object]) -> Object:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{objects.name(service)}-",
                "namespace": objects.namespace(service),
                "labels": _labels(service),
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": self.context.timestamp()},
                "ownerReferences": [objects.owner_reference(service)],
            },
            "addressType": family,
            "endpoints": endpoints,
            "ports": _port_objects(ports),
        }

    def _endpoint(self, service: Object, backend: Backend) -> Object:
        endpoint: Object = {
            "addresses": [backend.address],
            "conditions": {
                "ready": backend.ready,
                "serving": backend.serving,
                "terminating": backend.terminating,
            },
            "targetRef": backends.target(backend.pod),
        }
        node = backend.pod["spec"].get("nodeName")
        if node:
            endpoint["nodeName"] = node
        zone = backends.zone(self.nodes.get(None, node)) if node else ""
        if zone:
            endpoint["zone"] = zone
        name = backends.hostname(service, backend.pod)
        if name:
            endpoint["hostname"] = name
        return endpoint


def _labels(service: Object) -> dict[str, str]:
    own = {SERVICE_NAME: objects.name(service), MANAGED_BY: MANAGER}
    if backends.is_headless(service):
        own[HEADLESS] = ""
    return {**objects.labels(service), **own}


def _ports_of(obj: Object) -> tuple[Port, ...]:
    return tuple(
        (each.get("name") or "", each.get("protocol", "TCP"), each["port"], each.get("appProtocol") or "")
        for each in obj.get("ports") or []
    )


def _port_objects(ports: tuple[Port, ...]) -> list[Object]:
    result = []
    for name, protocol, number, application in ports:
        port: Object = {"name": name, "protocol": protocol, "port": number}
        if application:
            port["appProtocol"] = application
        result.append(port)
    return result
