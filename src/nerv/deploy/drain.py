"""Cordon, drain, uncordon: pods leave a node by eviction, so PodDisruptionBudgets are honoured.

DaemonSets' and static pods stay (they belong to the node). Data in emptyDir volumes goes with its pod; that is said for
each. A pod without a controller would not come back, so it is refused unless `force`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.errors import NotFound, TooManyRequests
from nerv.kube.objects import Object
from nerv.kube.resources import NODES, PODS

_MIRROR = "kubernetes.io/config.mirror"
_FINISHED = ("Succeeded", "Failed")
_SHOWN = 3


@dataclass(frozen=True, order=True)
class Pod:
    """A pod to evict."""

    namespace: str
    name: str
    uid: str
    scratch: bool
    """has emptyDir volumes, whose data goes"""

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Plan:
    """What a drain does with a node's pods."""

    evict: tuple[Pod, ...]
    stay: tuple[str, ...]
    unmanaged: tuple[str, ...]


def plan(pods: Iterable[Object]) -> Plan:
    """Sort the pods of one node."""
    evict, stay, unmanaged = [], [], []
    for pod in pods:
        metadata = pod["metadata"]
        label = f"{metadata['namespace']}/{metadata['name']}"
        kinds = {owner["kind"] for owner in metadata.get("ownerReferences") or () if owner.get("controller")}
        finished = pod.get("status", {}).get("phase") in _FINISHED
        if _MIRROR in (metadata.get("annotations") or {}) or ("DaemonSet" in kinds and not finished):
            stay.append(label)
            continue
        if not kinds and not finished:
            unmanaged.append(label)
        scratch = any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ())
        evict.append(Pod(metadata["namespace"], metadata["name"], metadata["uid"], scratch and not finished))
    return Plan(tuple(sorted(evict)), tuple(sorted(stay)), tuple(sorted(unmanaged)))


async def cordon(client: Client, node: str, *, unschedulable: bool = True) -> None:
    """No new pods for the node, or again. Raises NotFound."""
    await client.patch(NODES, node, None, {"spec": {"unschedulable": unschedulable or None}})


async def drain(
    client: Client, node: str, say: Callable[[str], None], *, limit: float, between: float = 5.0, force: bool = False
) -> None:
    """Evict every pod that can live elsewhere and wait until they are gone.

    Raises NervError for pods that nobody would make again (unless `force`), and with what holds the rest at the limit.
    """
    found = await client.list(PODS, field_selector=f"spec.nodeName={node}")
    planned = plan(found.items)
    if planned.unmanaged and not force:
        raise NervError(
            f"{node}: nobody would make these pods again: {', '.join(planned.unmanaged)}",
            "delete them yourself, or add --force",
        )
    for pod in planned.evict:
        if pod.scratch:
            say(f"{pod.label}: its emptyDir data goes with it")
    deadline = time.monotonic() + limit
    waiting = dict.fromkeys(planned.evict, "")
    while True:
        for pod in list(waiting):
            held = await _evict(client, pod)
            if held is None:
                del waiting[pod]
            elif held != waiting[pod]:
                waiting[pod] = held
                say(f"{pod.label}: {held}")
        if not waiting:
            return
        if time.monotonic() > deadline:
            said = "; ".join(f"{pod.label}: {held}" for pod, held in list(waiting.items())[:_SHOWN])
            raise NervError(
                f"{node} is not drained within {limit:.0f} s: {said}",
                "a PodDisruptionBudget keeps pods until others are Ready (`kubectl get pdb -A`); Longhorn keeps "
                "the last "
                "copy of a volume until it is rebuilt elsewhere",
            )
        await asyncio.sleep(between)


async def _evict(client: Client, pod: Pod) -> str | None:
    """Ask for the eviction. None when the pod is gone, else why it is still there."""
    try:
        now = await client.get(PODS, pod.name, pod.namespace)
        if now["metadata"]["uid"] != pod.uid:
            return None
        if now["metadata"].get("deletionTimestamp"):
            return "terminating"
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        await client.create(PODS, eviction, namespace=pod.namespace, name=pod.name, subresource="eviction")
    except NotFound:
        return None
    except TooManyRequests as error:
        causes = "; ".join(cause.get("message", "") for cause in error.causes)
        return causes or error.message
    return "evicted, terminating"
