"""Pods that nobody else cleans up: on nodes that are gone, never scheduled and deleted, or finished beyond a number.

Behaviour of k8s.io/kubernetes/pkg/controller/podgc 1.31, driven by events instead of its 20 s poll.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes import pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, RetryAfter, Watch, key_of
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import NODES, PODS

# a node that is registered again within this time (a restart) keeps its pods
_QUARANTINE = 40.0


def pod_garbage(context: Context) -> Controller:
    """The controller of orphaned and surplus pods."""
    pod_informer = context.informers.of(PODS)
    pod_informer.add_index("node", lambda pod: (pod["spec"].get("nodeName", ""),))
    nodes = context.informers.of(NODES)
    reconciler = _Garbage(context, pod_informer, nodes, {})
    watches = (Watch(pod_informer, reconciler.pod_changed), Watch(nodes, reconciler.node_changed))
    return Controller("pod-garbage-collector-controller", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Garbage:
    context: Context
    pods: Informer
    nodes: Informer
    missing: dict[str, float]
    """Since when (monotonic) a node is missing."""

    def pod_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """A pod on a node that is not there, one deleted before it had a node, one that finished."""
        if new is None:
            return ()
        node = new["spec"].get("nodeName", "")
        orphaned = bool(node) and self.nodes.get(None, node) is None
        unscheduled = not node and objects.deleting(new)
        return (key_of(new),) if orphaned or unscheduled or pods.is_finished(new) else ()

    def node_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """All pods of a node that went."""
        if new is not None:
            self.missing.pop(objects.name(new), None)
            return ()
        return [key_of(pod) for pod in self.pods.indexed("node", objects.name(old))] if old is not None else ()

    async def reconcile(self, key: Key) -> Outcome:
        """Remove the pod if it is one of these."""
        pod = self.pods.get(key.namespace, key.name)
        if pod is None:
            return Done()
        node = pod["spec"].get("nodeName", "")
        if node and self.nodes.get(None, node) is None:
            return await self._orphan(pod, node)
        if not node and objects.deleting(pod):
            await self.context.writer.delete(PODS, pod, grace_period=0)
        elif pods.is_finished(pod):
            await self._surplus()
        return Done()

    async def _orphan(self, pod: Object, node: str) -> Outcome:
        now = self.context.clock.monotonic()
        left = self.missing.setdefault(node, now) + _QUARANTINE - now
        if left > 0:
            return RetryAfter(left)
        conditions = objects.set_condition(
            pod.get("status", {}).get("conditions") or [],
            "DisruptionTarget",
            "True",
            "DeletionByPodGC",
            "PodGC: node no longer exists",
            None,
            self.context.clock.now(),
        )
        phase = pods.phase(pod) if pods.is_finished(pod) else "Failed"
        status = {"conditions": conditions, "phase": phase}
        patch = {"metadata": {"uid": objects.uid(pod)}, "status": status}
        try:
            await self.context.writer.patch(PODS, pod, patch, subresource="status")
        except errors.NotFound:
            return Done()
        await self.context.writer.delete(PODS, pod, grace_period=0)
        return Done()

    async def _surplus(self) -> None:
        finished = [pod for pod in self.pods.list() if pods.is_finished(pod)]
        surplus = len(finished) - self.context.config.terminated_pod_threshold
        if surplus > 0:
            finished.sort(key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
            for pod in finished[:surplus]:
                await self.context.writer.delete(PODS, pod, grace_period=0)
