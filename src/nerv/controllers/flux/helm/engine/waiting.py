"""Waiting for objects, event by event: until they are ready, until they are gone, until a hook has run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing

from nerv.controllers.flux.helm.engine import readiness
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item
from nerv.controllers.runtime import Informer
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import PODS, REPLICA_SETS

DEADLINE = "context deadline exceeded"
"""What Go says when a wait takes too long; Flux shows it."""
HOOK_DEADLINE = "timed out waiting for the condition"

_JUDGED = frozenset(
    {
        "Pod",
        "Job",
        "Deployment",
        "PersistentVolumeClaim",
        "Service",
        "DaemonSet",
        "StatefulSet",
        "CustomResourceDefinition",
        "ReplicationController",
        "ReplicaSet",
    }
)
_BUILTIN_GROUPS = frozenset({"", "apps", "batch", "apiextensions.k8s.io"})


async def ready(cluster: Cluster, items: Iterable[Item], seconds: float, *, jobs: bool) -> None:
    """Wait until Helm would call all of them ready. Raises ActionError: too late, or a Job that failed for good."""
    judged = [item for item in items if item.kind in _JUDGED and item.resource.group in _BUILTIN_GROUPS]
    if not judged:
        return
    try:
        await cluster.within(seconds, _until_ready(cluster, judged, jobs))
    except TimeoutError:
        raise ActionError(DEADLINE) from None


async def _until_ready(cluster: Cluster, items: Sequence[Item], jobs: bool) -> None:
    informers = {item.resource.plural: cluster.informers.of(item.resource) for item in items}
    if any(item.kind == "Deployment" for item in items):
        informers[REPLICA_SETS.plural] = cluster.informers.of(REPLICA_SETS)
    if any(item.kind in ("ReplicaSet", "ReplicationController") for item in items):
        informers[PODS.plural] = cluster.informers.of(PODS)
    changed = asyncio.Event()
    stops = [informer.on_change(lambda old, new: changed.set()) for informer in informers.values()]
    try:
        waiting = list(items)
        while waiting:
            changed.clear()
            waiting = [item for item in waiting if not _is_ready(informers, item, jobs)]
            if waiting:
                await changed.wait()
    finally:
        for stop in stops:
            stop()


def _is_ready(informers: dict[str, Informer], item: Item, jobs: bool) -> bool:
    present = informers[item.resource.plural].get(item.namespace, item.name)
    if present is None:
        return False
    if jobs and readiness.failed_job(present):
        raise ActionError(f"job is failed: {objects.key(present)}")

    def related(kind: str) -> Iterable[Object]:
        resource = REPLICA_SETS if kind == "ReplicaSet" else PODS
        return informers[resource.plural].list(item.namespace)

    return readiness.is_ready(present, related, jobs)


async def gone(cluster: Cluster, items: Iterable[Item], seconds: float) -> None:
    """Wait until none of them exists any more. Raises ActionError."""

    async def work() -> None:
        for item in items:
            async with aclosing(_states(cluster, item)) as states:
                async for state in states:
                    if state is None:
                        break

    try:
        await cluster.within(seconds, work())
    except TimeoutError:
        raise ActionError(DEADLINE) from None


async def hook(cluster: Cluster, item: Item, seconds: float) -> None:
    """Wait until the Job or Pod of a hook has done its work; other kinds only have to exist. Raises ActionError."""
    judge = {"Job": _job_done, "Pod": _pod_done}.get(item.kind)
    if judge is None:
        return
    try:
        await cluster.within(seconds, _until(cluster, item, judge))
    except TimeoutError:
        raise ActionError(HOOK_DEADLINE) from None


async def _until(cluster: Cluster, item: Item, judge: Callable[[Object], bool]) -> None:
    async with aclosing(_states(cluster, item)) as states:
        async for state in states:
            if state is None or judge(state):
                return


def _job_done(job: Object) -> bool:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["status"] != "True":
            continue
        if condition["type"] == "Complete":
            return True
        if condition["type"] == "Failed":
            raise ActionError(f"job {objects.name(job)} failed: {condition.get('reason', '')}")
    return False


def _pod_done(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Failed":
        raise ActionError(f"pod {objects.name(pod)} failed")
    return phase == "Succeeded"


async def _states(cluster: Cluster, item: Item) -> AsyncGenerator[Object | None, None]:
    """The object now and after every change; None, and the end, when it does not exist (any more)."""
    while True:
        try:
            present = await cluster.client.get(item.resource, item.name, item.namespace)
        except errors.NotFound:
            yield None
            return
        yield present
        events = cluster.client.watch(
            item.resource,
            item.namespace,
            resource_version=objects.resource_version(present),
            field_selector=f"metadata.name={item.name}",
            bookmarks=False,
        )
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    yield None if event.type == "DELETED" else event.object
                    if event.type == "DELETED":
                        return
        except errors.Gone:
            continue
