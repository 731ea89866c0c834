"""Nodes that fall silent: an old lease makes a node Unknown, taints it, and takes its pods out of service.

Behaviour of k8s.io/kubernetes/pkg/controller/{nodelifecycle,tainteviction} 1.31. A silent node is found by one timer
per node, set for the moment at which its lease would be too old, so nothing is polled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from nerv.controllers.kubernetes import placement, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, RetryAfter, Watch, key_of
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import LEASES, NODES, PODS

_LEASES = "kube-node-lease"
_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = {*_PRESSURE.values(), placement.NOT_READY, placement.UNREACHABLE, placement.UNSCHEDULABLE}


def node_lifecycle(context: Context) -> Controller:
    """The controller of node conditions, the taints that follow from them, and the Ready condition of silent pods."""
    nodes = context.informers.of(NODES)
    leases = context.informers.of(LEASES, _LEASES)
    pod_informer = context.informers.of(PODS)
    pod_informer.add_index("node", lambda pod: (pod["spec"].get("nodeName", ""),))
    reconciler = _Nodes(context, nodes, pod_informer, context.recorder("node-controller"))
    watches = (Watch(nodes), Watch(leases, reconciler.lease_changed))
    return Controller("node-lifecycle-controller", reconciler.reconcile, watches, clock=context.clock)


def taint_eviction(context: Context) -> Controller:
    """The controller that removes pods which do not (or not for ever) tolerate a NoExecute taint of their node."""
    nodes = context.informers.of(NODES)
    pod_informer = context.informers.of(PODS)
    pod_informer.add_index("node", lambda pod: (pod["spec"].get("nodeName", ""),))
    reconciler = _Eviction(context, nodes, pod_informer, context.recorder("taint-eviction-controller"))
    watches = (Watch(pod_informer, reconciler.pod_changed), Watch(nodes, reconciler.node_changed))
    return Controller("taint-eviction-controller", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Nodes:
    context: Context
    nodes: Informer
    pods: Informer
    recorder: EventRecorder
    seen: dict[str, float] = field(default_factory=dict)
    """When a node was last heard of, by our own monotonic clock: neither a machine that slept nor a restart of ours
    makes all nodes look silent."""

    def lease_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """A renewed lease matters at once only where the node was given up; else its timer looks at it."""
        if new is None:
            return ()
        self.seen[objects.name(new)] = self.context.clock.monotonic()
        node = self.nodes.get(None, objects.name(new))
        ready = objects.condition(node, "Ready") if node is not None else None
        return (key_of(node),) if node is not None and (ready is None or ready["status"] == "Unknown") else ()

    async def reconcile(self, key: Key) -> Outcome:
        """Judge a node by its lease, and come back when that would be too old."""
        node = self.nodes.get(None, key.name)
        if node is None:
            self.seen.pop(key.name, None)
            return Done()
        left = self._seconds_left(node)
        if left <= 0:
            node = await self._give_up(node)
        node = await self._taint(node)
        ready = objects.condition(node, "Ready")
        if ready is None or ready["status"] != "True":
            await self._mark_pods(node)
        return RetryAfter(left + 0.1) if left > 0 else Done()

    def _seconds_left(self, node: Object) -> float:
        now = self.context.clock.monotonic()
        heard = self.seen.setdefault(objects.name(node), now)
        return heard + self.context.config.node_monitor_grace_period - now

    async def _give_up(self, node: Object) -> Object:
        """Nobody speaks for the node: its conditions are Unknown."""
        status = node.get("status", {})
        conditions = [*(status.get("conditions") or [])]
        now = self.context.timestamp()
        changed = False
        for type in _CONDITIONS:
            present = next((each for each in conditions if each["type"] == type), None)
            if present is not None and present["status"] == "Unknown":
                continue
            reason, message = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
            if present is None:
                reason, message = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
            fresh = {**(present or {}), "type": type, "status": "Unknown", "reason": reason, "message": message}
            fresh |= {"lastTransitionTime": now}
            fresh.setdefault("lastHeartbeatTime", node["metadata"].get("creationTimestamp", now))
            conditions = [*(each for each in conditions if each["type"] != type), fresh]
            changed = True
        if not changed:
            return node
        name = objects.name(node)
        self.recorder.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        return await self.context.writer.status(NODES, node, {**status, "conditions": conditions})

    async def _taint(self, node: Object) -> Object:
        """The taints that follow from the conditions and from `unschedulable`; others stay."""
        wanted = _taints(node)
        present = (node.get("spec") or {}).get("taints") or []
        had = {(each["key"], each["effect"]) for each in present}
        kept = [each for each in present if each["key"] not in _OURS or (each["key"], each["effect"]) in wanted]
        now = self.context.timestamp()
        for key, effect in sorted(wanted - had):
            taint = {"key": key, "effect": effect}
            kept.append({**taint, "timeAdded": now} if effect == "NoExecute" else taint)
        if kept == present:
            return node
        pinned = {"resourceVersion": objects.resource_version(node)}
        patch = {"metadata": pinned, "spec": {"taints": kept or None}}
        return await self.context.writer.patch(NODES, node, patch)

    async def _mark_pods(self, node: Object) -> None:
        """Pods of a node that is not ready take no traffic."""
        for pod in self.pods.indexed("node", objects.name(node)):
            status = pod.get("status", {})
            if not objects.is_true(pod, "Ready"):
                continue
            conditions = objects.set_condition(
                status["conditions"], "Ready", "False", "", "", None, self.context.clock.now()
            )
            patch = {"metadata": {"uid": objects.uid(pod)}, "status": {"conditions": conditions}}
            await self.context.writer.patch(PODS, pod, patch, subresource="status")
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def _taints(node: Object) -> set[tuple[str, str]]:
    wanted = set()
    for condition in node.get("status", {}).get("conditions") or []:
        if condition["type"] == "Ready" and condition["status"] != "True":
            key = placement.NOT_READY if condition["status"] == "False" else placement.UNREACHABLE
            wanted |= {(key, "NoSchedule"), (key, "NoExecute")}
        elif condition["type"] in _PRESSURE and condition["status"] == "True":
            wanted.add((_PRESSURE[condition["type"]], "NoSchedule"))
    if (node.get("spec") or {}).get("unschedulable"):
        wanted.add((placement.UNSCHEDULABLE, "NoSchedule"))
    return wanted


@dataclass(frozen=True)
class _Eviction:
    context: Context
    nodes: Informer
    pods: Informer
    recorder: EventRecorder

    def pod_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """A pod that came to a node with such a taint."""
        if new is None or (old is not None and old["spec"].get("nodeName") == new["spec"].get("nodeName")):
            return ()
        node = self.nodes.get(None, new["spec"].get("nodeName", ""))
        return (key_of(new),) if node is not None and _executing(node) else ()

    def node_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """All pods of a node whose taints changed."""
        if new is None or (_executing(old) if old is not None else []) == _executing(new):
            return ()
        return [key_of(pod) for pod in self.pods.indexed("node", objects.name(new))]

    async def reconcile(self, key: Key) -> Outcome:
        """Delete the pod when it has tolerated the taints long enough, else come back then."""
        pod = self.pods.get(key.namespace, key.name)
        if pod is None or objects.deleting(pod) or pods.is_finished(pod):
            return Done()
        node = self.nodes.get(None, pod["spec"].get("nodeName", ""))
        left = self._patience(pod, _executing(node)) if node is not None else None
        if left is None:
            return Done()
        if left > 0:
            return RetryAfter(left)
        self.recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {objects.key(pod)}")
        condition = (
            "DisruptionTarget",
            "True",
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
        )
        conditions = objects.set_condition(
            pod.get("status", {}).get("conditions") or [], *condition, None, self.context.clock.now()
        )
        patch = {"metadata": {"uid": objects.uid(pod)}, "status": {"conditions": conditions}}
        await self.context.writer.patch(PODS, pod, patch, subresource="status")
        await self.context.writer.delete(PODS, pod)
        return Done()

    def _patience(self, pod: Object, taints: list[Object]) -> float | None:
        """Seconds that the pod may stay, None for ever."""
        patience: float | None = None
        for taint in taints:
            covering = [each for each in pod["spec"].get("tolerations") or [] if placement.tolerates(each, taint)]
            if not covering:
                return 0.0
            limits = [each["tolerationSeconds"] for each in covering if each.get("tolerationSeconds") is not None]
            if not limits:
                continue
            added = taint.get("timeAdded")
            begun = objects.parse_time(added) if added else self.context.clock.now()
            left = (begun + timedelta(seconds=max(min(limits), 0)) - self.context.clock.now()).total_seconds()
            patience = left if patience is None else min(patience, left)
        return max(patience, 0.0) if patience is not None else None


def _executing(node: Object) -> list[Object]:
    return [each for each in placement.taints(node) if each["effect"] == "NoExecute"]
