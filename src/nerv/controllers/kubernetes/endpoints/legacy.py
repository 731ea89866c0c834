"""Endpoints (core/v1), the older form of EndpointSlices that `kubectl get endpoints` and some clients still read."""

from __future__ import annotations

from dataclasses import dataclass

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.endpoints import backends
from nerv.controllers.kubernetes.endpoints.backends import Backend, Port
from nerv.controllers.kubernetes.endpoints.selection import by_pod, is_selecting, selected
from nerv.controllers.kubernetes.endpoints.slices import HEADLESS
from nerv.controllers.kubernetes.podcontrol import is_namespace_terminating
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import ENDPOINTS, PODS, SERVICES

_CHANGED_AT = "endpoints.kubernetes.io/last-change-trigger-time"


def endpoints(context: Context) -> Controller:
    """The controller of the Endpoints of Services with a selector."""
    services = context.informers.of(SERVICES)
    pod_informer = context.informers.of(PODS)
    informer = context.informers.of(ENDPOINTS)
    reconciler = _Endpoints(context, services, pod_informer, informer)
    watches = (Watch(services), Watch(pod_informer, by_pod(services)), Watch(informer))
    return Controller("endpoint-controller", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Endpoints:
    context: Context
    services: Informer
    pods: Informer
    endpoints: Informer

    async def reconcile(self, key: Key) -> Outcome:
        """Make the Endpoints of a Service's name show its pods; they go with the Service."""
        service = self.services.get(key.namespace, key.name)
        present = self.endpoints.get(key.namespace, key.name)
        if service is None:
            if present is not None and _CHANGED_AT in objects.annotations(present):
                await self.context.writer.delete(ENDPOINTS, present)
            return Done()
        if not is_selecting(service) or objects.deleting(service):
            return Done()
        found = backends.of(service, selected(service, self.pods), backends.families(service)[0])
        try:
            await self._write(service, present, _subsets(service, found))
        except errors.ApiError as error:
            if not is_namespace_terminating(error):
                raise
        return Done()

    async def _write(self, service: Object, present: Object | None, subsets: list[Object]) -> None:
        labels = dict(objects.labels(service))
        if backends.is_headless(service):
            labels[HEADLESS] = ""
        if present is not None:
            if (present.get("subsets") or []) == subsets and dict(objects.labels(present)) == labels:
                return
            annotations = {**objects.annotations(present), _CHANGED_AT: self.context.timestamp()}
            metadata = {**present["metadata"], "labels": labels, "annotations": annotations}
            await self.context.writer.replace(ENDPOINTS, {**present, "metadata": metadata, "subsets": subsets})
            return
        metadata = {
            "name": objects.name(service),
            "namespace": objects.namespace(service),
            "labels": labels,
            "annotations": {_CHANGED_AT: self.context.timestamp()},
        }
        obj: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
        await self.context.writer.create(ENDPOINTS, {**obj, "subsets": subsets} if subsets else obj)


def _subsets(service: Object, found: list[Backend]) -> list[Object]:
    """Ready and unready addresses by ports; pods that go away are left out, unless all are to be published."""
    result = []
    for ports, members in sorted(backends.grouped(found).items()):
        shown = [each for each in members if not each.terminating or each.publish_not_ready]
        ready = [_address(service, each) for each in shown if each.ready]
        unready = [_address(service, each) for each in shown if not each.ready]
        subset: Object = {}
        if ready:
            subset["addresses"] = sorted(ready, key=lambda each: each["ip"])
        if unready:
            subset["notReadyAddresses"] = sorted(unready, key=lambda each: each["ip"])
        if subset:
            result.append({**subset, **({"ports": _ports(ports)} if ports else {})})
    return result


def _address(service: Object, backend: Backend) -> Object:
    address: Object = {"ip": backend.address, "targetRef": backends.target(backend.pod)}
    if backend.pod["spec"].get("nodeName"):
        address["nodeName"] = backend.pod["spec"]["nodeName"]
    name = backends.hostname(service, backend.pod)
    return {**address, "hostname": name} if name else address


def _ports(ports: tuple[Port, ...]) -> list[Object]:
    result = []
    for name, protocol, number, application in ports:
        port: Object = {"port": number, "protocol": protocol}
        if name:
            port["name"] = name
        if application:
            port["appProtocol"] = application
        result.append(port)
    return result
