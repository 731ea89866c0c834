"""What exists in every cluster from the first start: namespaces, roles, priority classes, the `kubernetes` Service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from nerv.apiserver.access import aggregation, roles
from nerv.apiserver.store import Store
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    PRIORITY_CLASSES,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_PRIORITIES = {
    "system-cluster-critical": (2_000_000_000, "Used for system critical pods that must run in the cluster."),
    "system-node-critical": (2_000_001_000, "Used for system critical pods that must not be moved from their node."),
}


_API_PORT = 6443
"""What the `kubernetes` Service calls its target, as K3s and kubeadm do."""


async def prepare(store: Store, client: Client, service_address: str) -> None:
    """Create what is missing; what is there stays as it is. `service_address` is that of the `kubernetes` Service."""
    await _create(store, client, NAMESPACES, ({"metadata": {"name": name}} for name in _NAMESPACES))
    await _create(store, client, CLUSTER_ROLES, roles.CLUSTER_ROLES)
    await _create(store, client, CLUSTER_ROLE_BINDINGS, roles.CLUSTER_ROLE_BINDINGS)
    await _create(store, client, PRIORITY_CLASSES, _priorities())
    # the account controller would make these as well; the first pods need not wait for it
    accounts = ({"metadata": {"name": "default", "namespace": name}} for name in _NAMESPACES)
    await _create(store, client, SERVICE_ACCOUNTS, accounts)
    await _create(store, client, SERVICES, [_service(service_address)])
    await aggregation.gather(store, client)


def _service(address: str) -> Object:
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": _API_PORT}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    return {
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIP": address, "ports": [port]},
    }


def _priorities() -> Iterable[Object]:
    for name, (value, description) in _PRIORITIES.items():
        yield {"metadata": {"name": name}, "value": value, "description": description}


def _find(store: Store, resource: Resource, obj: Object) -> object:
    meta = obj["metadata"]
    return store.get(resource.qualified, meta.get("namespace", ""), meta["name"])


async def _create(store: Store, client: Client, resource: Resource, objects: Iterable[Object]) -> None:
    """Together, so that they share one commit."""
    missing = [obj for obj in objects if _find(store, resource, obj) is None]
    outcomes = await asyncio.gather(*(client.create(resource, obj) for obj in missing), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, errors.AlreadyExists):
            raise outcome
