"""`recreate`: the pods of updated workloads are deleted, so that they start anew."""

from __future__ import annotations

from collections.abc import Iterable

from nerv.controllers.flux.helm.engine.cluster import Cluster, Item
from nerv.kube import errors, objects, selectors
from nerv.kube.resources import PODS

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})


async def restart(cluster: Cluster, items: Iterable[Item]) -> None:
    """Delete the pods that the workloads among `items` select; what cannot be deleted is left."""
    for item in items:
        selector = (item.object.get("spec") or {}).get("selector")
        if item.kind not in _WORKLOADS or not selector:
            continue
        chosen = selectors.from_object(selector)
        for pod in (await cluster.client.list(PODS, item.namespace)).items:
            if not chosen.matches(objects.labels(pod)):
                continue
            try:
                await cluster.client.delete(PODS, objects.name(pod), item.namespace, uid=objects.uid(pod))
            except (errors.NotFound, errors.Conflict):
                continue
