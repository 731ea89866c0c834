"""From a Service to an address of the cluster's network, by its EndpointSlices (endpoint routing)."""

from __future__ import annotations

import secrets
from typing import Any

from nerv.apiserver.store import Store
from nerv.kube import errors
from nerv.kube.objects import Object

_SERVICE_NAME = "kubernetes.io/service-name"


def resolve(store: Store, namespace: str, name: str, port: int | str) -> tuple[str, int]:
    """Address and port of one ready endpoint. Raises errors.NotFound, errors.ServiceUnavailable."""
    entry = store.get("services", namespace, name)
    if entry is None:
        raise errors.not_found("services", "", name)
    wanted = _service_port(entry.load(), port)
    found = list(_endpoints(store, namespace, name, wanted))
    if not found:
        raise errors.ServiceUnavailable(f'no endpoints available for service "{name}"')
    return secrets.choice(found)


def _service_port(service: Object, port: int | str) -> dict[str, Any]:
    ports: list[dict[str, Any]] = service["spec"].get("ports") or []
    for item in ports:
        if port in (item.get("port"), item.get("name"), str(item.get("port"))):
            return item
    if port == "" and len(ports) == 1:
        return ports[0]
    raise errors.ServiceUnavailable(f'no service port {port} found for service "{service["metadata"]["name"]}"')


def _endpoints(store: Store, namespace: str, name: str, wanted: dict[str, Any]) -> list[tuple[str, int]]:
    found = []
    for entry in store.iterate("endpointslices.discovery.k8s.io", namespace):
        if entry.labels.get(_SERVICE_NAME) != name:
            continue
        piece = entry.load()
        for port in piece.get("ports") or ():
            if (port.get("name") or "") != (wanted.get("name") or "") or not port.get("port"):
                continue
            for endpoint in piece.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    found += [(address, port["port"]) for address in endpoint.get("addresses") or ()]
    return found
