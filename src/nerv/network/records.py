"""From Services and EndpointSlices to routes and DNS records. Pure.

Rules: kube-proxy (ready endpoints by port name; without any, connections are refused) and the Kubernetes DNS
specification 1.1.0 (A and SRV records; hosts of a headless Service by hostname, else by address with dashes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nerv.kube.objects import Object
from nerv.network.driver import NameTable
from nerv.network.routes import Inside, Route

SERVICE_NAME = "kubernetes.io/service-name"


class Endpoint(NamedTuple):
    """A ready address behind a port of a Service."""

    address: str
    port: int
    host: str


def routes(services: Iterable[Object], slices: Iterable[Object], node_addresses: Sequence[str] = ()) -> list[Route]:
    """A route for every TCP port of every address that a Service has."""
    grouped = _by_service(slices)
    return [route for service in services for route in _routes_of(service, grouped, node_addresses)]


def names(services: Iterable[Object], slices: Iterable[Object], domain: str) -> NameTable:
    """The DNS records of all Services."""
    grouped = _by_service(slices)
    addresses: dict[str, tuple[str, ...]] = {}
    targets: dict[str, tuple[tuple[int, str], ...]] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        if spec.get("type") == "ExternalName":
            continue
        zone = f"{metadata['name']}.{metadata['namespace']}.svc.{domain}"
        if not _is_headless(spec):
            addresses[zone] = (spec["clusterIP"],)
        for port in spec.get("ports", []):
            endpoints = _endpoints(grouped, service, port.get("name", ""))
            if _is_headless(spec):
                addresses[zone] = tuple(
                    dict.fromkeys((*addresses.get(zone, ()), *(each.address for each in endpoints)))
                )
                addresses |= {f"{each.host}.{zone}": (each.address,) for each in endpoints}
                found = tuple((each.port, f"{each.host}.{zone}") for each in endpoints)
            else:
                found = ((port["port"], zone),)
            if port.get("name"):
                targets[f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{zone}"] = found
    return NameTable(addresses, targets)


def load_balancer_addresses(service: Object) -> list[str]:
    """The addresses that a load balancer has given the Service."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [entry["ip"] for entry in ingress if entry.get("ip")]


def _routes_of(
    service: Object, grouped: dict[tuple[str, str], list[Object]], node_addresses: Sequence[str]
) -> Iterator[Route]:
    spec = service["spec"]
    own = [] if _is_headless(spec) or spec.get("type") == "ExternalName" else [spec["clusterIP"]]
    reached_at = [*own, *spec.get("externalIPs", []), *load_balancer_addresses(service)]
    for port in spec.get("ports", []):
        if port.get("protocol", "TCP") != "TCP":
            continue
        targets = tuple(Inside(each.address, each.port) for each in _endpoints(grouped, service, port.get("name", "")))
        for address in reached_at:
            yield Route(address, port["port"], targets)
        if node_port := port.get("nodePort"):
            for address in node_addresses:
                yield Route(address, node_port, targets)


def _is_headless(spec: Object) -> bool:
    return spec.get("clusterIP") in (None, "", "None")


def _by_service(slices: Iterable[Object]) -> dict[tuple[str, str], list[Object]]:
    grouped: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for item in slices:
        metadata = item["metadata"]
        owner = (metadata.get("labels") or {}).get(SERVICE_NAME)
        if owner and item.get("addressType", "IPv4") == "IPv4":
            grouped[metadata["namespace"], owner].append(item)
    return grouped


def _endpoints(grouped: dict[tuple[str, str], list[Object]], service: Object, port_name: str) -> list[Endpoint]:
    metadata = service["metadata"]
    found = {}
    for item in grouped.get((metadata["namespace"], metadata["name"]), ()):
        ports = [port["port"] for port in item.get("ports") or [] if (port.get("name") or "") == port_name]
        for endpoint in item.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready") is False:
                continue
            for address in endpoint["addresses"]:
                for port in ports:
                    host = endpoint.get("hostname") or address.replace(".", "-")
                    found[address, port] = Endpoint(address, port, host)
    return [found[key] for key in sorted(found)]
