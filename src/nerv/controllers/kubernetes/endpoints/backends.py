"""The pods behind a Service, as endpoints grouped by the ports they offer. Pure.

Rules of k8s.io/endpointslice and pkg/controller/endpoint, version 1.31.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nerv.controllers.kubernetes import pods
from nerv.kube import objects
from nerv.kube.objects import Object

_ZONE = "topology.kubernetes.io/zone"

Port = tuple[str, str, int, str]
"""Name, protocol, number, application protocol."""


@dataclass(frozen=True)
class Backend:
    """One pod as an endpoint of one address family."""

    address: str
    pod: Object
    ports: tuple[Port, ...]
    publish_not_ready: bool

    @property
    def serving(self) -> bool:
        """Whether it answers, going away or not."""
        return pods.is_ready(self.pod) or self.publish_not_ready

    @property
    def terminating(self) -> bool:
        """Whether it is going away."""
        return objects.deleting(self.pod)

    @property
    def ready(self) -> bool:
        """Whether new connections should go there."""
        return self.publish_not_ready or (pods.is_ready(self.pod) and not self.terminating)


def is_headless(service: Object) -> bool:
    """Whether the Service has no address of its own."""
    return bool(service["spec"].get("clusterIP") == "None")


def families(service: Object) -> list[str]:
    """The Service's address families, IPv4 where it does not say."""
    return list(service["spec"].get("ipFamilies") or ["IPv4"])


def of(service: Object, candidates: Iterable[Object], family: str) -> list[Backend]:
    """The endpoints of one family among the pods that the Service selects."""
    result = []
    for pod in candidates:
        address = _address(pod, family)
        if address and not pods.is_finished(pod):
            publish = bool(service["spec"].get("publishNotReadyAddresses"))
            result.append(Backend(address, pod, ports(service, pod), publish))
    return result


def _address(pod: Object, family: str) -> str:
    status = pod.get("status", {})
    addresses = [each["ip"] for each in status.get("podIPs") or []] or [status.get("podIP") or ""]
    return next((each for each in addresses if each and (":" in each) == (family == "IPv6")), "")


def ports(service: Object, pod: Object) -> tuple[Port, ...]:
    """The Service's ports as numbers of the pod; a named port that the pod does not have is left out."""
    found: list[Port] = []
    for port in service["spec"].get("ports") or []:
        number = _number(port, pod)
        if number is not None:
            found.append((port.get("name", ""), port.get("protocol", "TCP"), number, port.get("appProtocol", "")))
    return tuple(found)


def _number(port: Object, pod: Object) -> int | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or int(port["port"])
    containers = [*(pod["spec"].get("containers") or []), *_sidecars(pod)]
    for container in containers:
        for offered in container.get("ports") or []:
            if offered.get("name") == target and offered.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(offered["containerPort"])
    return None


def _sidecars(pod: Object) -> list[Object]:
    return [each for each in pod["spec"].get("initContainers") or [] if each.get("restartPolicy") == "Always"]


def hostname(service: Object, pod: Object) -> str:
    """The name that DNS gives the pod under a headless Service."""
    spec = pod["spec"]
    own = spec.get("hostname") and spec.get("subdomain") == objects.name(service)
    return str(spec["hostname"]) if own else ""


def target(pod: Object) -> Object:
    """The reference from an endpoint to its pod."""
    return {
        "kind": "Pod",
        "namespace": objects.namespace(pod),
        "name": objects.name(pod),
        "uid": objects.uid(pod),
    }


def zone(node: Object | None) -> str:
    """The zone of a node, empty where it has none."""
    return objects.labels(node).get(_ZONE, "") if node is not None else ""


def grouped(backends: Iterable[Backend]) -> Mapping[tuple[Port, ...], list[Backend]]:
    """The endpoints by their ports."""
    result: dict[tuple[Port, ...], list[Backend]] = {}
    for backend in backends:
        result.setdefault(backend.ports, []).append(backend)
    return result
