"""What exists in every cluster from the first start: namespaces, roles, priority classes, the `kubernetes` Service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from nerv.apiserver.access import aggregation, roles
from nerv.apiserver.store import Store
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, PRIORITY_CLASSES, Resource

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_PRIORITIES = {
    "system-cluster-critical": (2_000_000_000, "Used for system critical pods that must run in the cluster."),
    "system-node-critical": (2_000_001_000, "Used for system critical pods that must not be moved from their node."),
}


async def prepare(store: Store, client: Client) -> None:
    """Create what is missing; what is there stays as it is."""
    await _create(store, client, NAMESPACES, ({"metadata": {"name": name}} for name in _NAMESPACES))
    await _create(store, client, CLUSTER_ROLES, roles.CLUSTER_ROLES)
    await _create(store, client, CLUSTER_ROLE_BINDINGS, roles.CLUSTER_ROLE_BINDINGS)
    await _create(store, client, PRIORITY_CLASSES, _priorities())
    await aggregation.gather(store, client)


def _priorities() -> Iterable[Object]:
    for name, (value, description) in _PRIORITIES.items():
        yield {"metadata": {"name": name}, "value": value, "description": description}


async def _create(store: Store, client: Client, resource: Resource, objects: Iterable[Object]) -> None:
    """Together, so that they share one commit."""
    missing = [obj for obj in objects if store.get(resource.qualified, "", obj["metadata"]["name"]) is None]
    outcomes = await asyncio.gather(*(client.create(resource, obj) for obj in missing), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, errors.AlreadyExists):
            raise outcome
