"""DaemonSets: one pod on every node that takes it, updated node by node.

Behaviour of k8s.io/kubernetes/pkg/controller/daemon 1.31, without maxSurge: an update deletes before it creates.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes import claims, placement, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.deployment.scaling import scaled_value
from nerv.controllers.kubernetes.history import HASH_LABEL, History
from nerv.controllers.kubernetes.podcontrol import BURST, PodControl
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, RetryAfter, Watch, key_of
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS

_COMPONENT = "daemonset-controller"
_GENERATION_LABEL = "pod-template-generation"
_EXECUTE = (placement.NOT_READY, placement.UNREACHABLE)
_SCHEDULE = (
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    placement.UNSCHEDULABLE,
)


def daemon_sets(context: Context) -> Controller:
    """The controller of apps/v1 DaemonSets."""
    owners = context.informers.of(DAEMON_SETS)
    pod_informer = context.informers.of(PODS)
    nodes = context.informers.of(NODES)
    revisions = context.informers.of(CONTROLLER_REVISIONS)
    reconciler = _DaemonSets(
        context,
        owners,
        pod_informer,
        nodes,
        History(context, DAEMON_SETS, revisions, HASH_LABEL),
        PodControl(context.writer, context.recorder(_COMPONENT)),
    )
    watches = (
        Watch(owners),
        Watch(pod_informer, lambda old, new: claims.owner_keys(owners, "DaemonSet", old, new)),
        Watch(nodes, reconciler.node_changed),
        Watch(revisions, lambda old, new: claims.owner_keys(owners, "DaemonSet", old, new)),
    )
    return Controller(_COMPONENT, reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _DaemonSets:
    context: Context
    owners: Informer
    pods: Informer
    nodes: Informer
    history: History
    control: PodControl

    def node_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """All DaemonSets, when something changed that decides whether a pod may run there."""
        if old is not None and new is not None and _traits(old) == _traits(new):
            return ()
        return [key_of(each) for each in self.owners.list()]

    async def reconcile(self, key: Key) -> Outcome:
        """Create and delete pods node by node, go on with an update, write the status."""
        owner = self.owners.get(key.namespace, key.name)
        if owner is None or objects.deleting(owner):
            return Done()
        known = await self.history.of(owner)
        revision = await self.history.newest(owner, known)
        hashed = objects.labels(revision).get(HASH_LABEL, "")
        by_node = await self._by_node(owner)
        failure = await self._place(owner, hashed, by_node)
        by_node = await self._by_node(owner)
        if failure is None and (owner["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
            failure = await self._roll(owner, hashed, by_node)
            by_node = await self._by_node(owner)
        in_use = {objects.labels(pod).get(HASH_LABEL) for each in by_node.values() for pod in each} | {hashed}
        await self.history.trim(owner, known, lambda each: objects.labels(each).get(HASH_LABEL) in in_use)
        await self.context.writer.status(DAEMON_SETS, owner, self._status(owner, hashed, by_node))
        if failure is not None:
            raise failure
        seconds = owner["spec"].get("minReadySeconds", 0)
        mine = [pod for each in by_node.values() for pod in each]
        wait = pods.next_available(mine, seconds, self.context.clock.now())
        return RetryAfter(wait) if wait else Done()

    async def _by_node(self, owner: Object) -> dict[str, list[Object]]:
        """The owner's pods by the node they run on or are meant for."""
        mine = await claims.claim(
            self.context.writer,
            DAEMON_SETS,
            owner,
            PODS,
            claims.selector_of(owner),
            self.pods.list(objects.namespace(owner)),
        )
        result: dict[str, list[Object]] = {}
        for pod in mine:
            result.setdefault(_target(pod), []).append(pod)
        return result

    async def _place(self, owner: Object, hashed: str, by_node: dict[str, list[Object]]) -> Exception | None:
        """Create what is missing and delete what must not be. Returns the first refusal."""
        create: list[Object] = []
        delete: list[Object] = []
        for node in self.nodes.list():
            name = objects.name(node)
            present = by_node.get(name, [])
            wanted, may_stay = self._fits(owner, node)
            alive = [pod for pod in present if not objects.deleting(pod)]
            finished = [pod for pod in alive if pods.is_finished(pod)]
            running = [pod for pod in alive if not pods.is_finished(pod)]
            if wanted and not present:
                create.append(_new_pod(owner, hashed, name))
            if may_stay:
                delete += finished
                oldest_first = sorted(running, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
                delete += oldest_first[1:]
            else:
                delete += alive
        existing = {objects.name(node) for node in self.nodes.list()}
        delete += [
            pod
            for name, present in by_node.items()
            if name not in existing
            for pod in present
            if not objects.deleting(pod)
        ]
        for pod in delete:
            if pods.is_finished(pod):
                text = f"Found failed daemon pod {objects.key(pod)} on node {_target(pod)}, will try to kill it"
                self.control.recorder.event(owner, "Warning", "FailedDaemonPod", text)
        failure = await self.control.create_all(owner, create[:BURST])
        return failure or await self.control.delete_all(owner, delete[:BURST])

    def _fits(self, owner: Object, node: Object) -> tuple[bool, bool]:
        """Whether a pod should be there, and whether one that is there may stay."""
        pod = _new_pod(owner, "", objects.name(node))
        selected = owner["spec"]["template"]["spec"].get("nodeName") in (None, "", objects.name(node))
        if not selected or not placement.matches_selector(pod, node):
            return False, False
        schedulable = placement.untolerated(pod, node, ("NoSchedule", "NoExecute")) is None
        return schedulable, placement.untolerated(pod, node, ("NoExecute",)) is None

    async def _roll(self, owner: Object, hashed: str, by_node: dict[str, list[Object]]) -> Exception | None:
        """Delete outdated pods: those that are not available at once, others as maxUnavailable allows."""
        now = self.context.clock.now()
        seconds = owner["spec"].get("minReadySeconds", 0)
        desired = [node for node in self.nodes.list() if self._fits(owner, node)[0]]
        rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        allowed = max(scaled_value(rolling.get("maxUnavailable", 1), len(desired), up=True), 1)
        unavailable = 0
        broken: list[Object] = []
        candidates: list[Object] = []
        for node in desired:
            alive = [pod for pod in by_node.get(objects.name(node), []) if not objects.deleting(pod)]
            up = [pod for pod in alive if pods.is_available(pod, seconds, now)]
            unavailable += not up
            for pod in alive:
                if objects.labels(pod).get(HASH_LABEL) != hashed:
                    (candidates if pod in up else broken).append(pod)
        surplus = candidates[: max(allowed - unavailable, 0)]
        return await self.control.delete_all(owner, broken + surplus)

    def _status(self, owner: Object, hashed: str, by_node: dict[str, list[Object]]) -> Object:
        now = self.context.clock.now()
        seconds = owner["spec"].get("minReadySeconds", 0)
        desired = scheduled = misplaced = ready = updated = available = 0
        for node in self.nodes.list():
            present = by_node.get(objects.name(node), [])
            wanted, _ = self._fits(owner, node)
            desired += wanted
            misplaced += bool(present) and not wanted
            if not wanted or not present:
                continue
            scheduled += 1
            pod = min(present, key=lambda each: each["metadata"].get("creationTimestamp", ""))
            is_up = pods.is_ready(pod) and not objects.deleting(pod)
            ready += is_up
            available += is_up and pods.is_available(pod, seconds, now)
            updated += objects.labels(pod).get(HASH_LABEL) == hashed
        status: Object = {
            "currentNumberScheduled": scheduled,
            "numberMisscheduled": misplaced,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": objects.generation(owner),
        }
        more = {
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": desired - available,
        }
        return {**status, **{name: count for name, count in more.items() if count}}


def _traits(node: Object) -> tuple[object, ...]:
    return objects.labels(node), placement.taints(node), objects.name(node)


def _target(pod: Object) -> str:
    """The node that a daemon pod runs on, or waits to be bound to."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for field in term.get("matchFields") or []:
            if field["key"] == "metadata.name" and field["operator"] == "In":
                return str(field["values"][0])
    return ""


def _new_pod(owner: Object, hashed: str, node: str) -> Object:
    """A pod of the template that fits `node` alone and stays through the node's troubles."""
    generation = str(objects.generation(owner))
    labels = {HASH_LABEL: hashed, _GENERATION_LABEL: generation}
    pod = pods.from_template(owner["spec"]["template"], owner, labels=labels)
    spec = pod["spec"]
    affinity = copy.copy(spec.get("affinity") or {})
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    node_affinity = copy.copy(affinity.get("nodeAffinity") or {})
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = [{**term, **by_name} for term in required.get("nodeSelectorTerms") or []] or [by_name]
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    spec["affinity"] = {**affinity, "nodeAffinity": node_affinity}
    spec["tolerations"] = [*(spec.get("tolerations") or []), *_tolerations(spec)]
    return pod


def _tolerations(spec: Object) -> list[Object]:
    added = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in _EXECUTE]
    added += [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in _SCHEDULE]
    if spec.get("hostNetwork"):
        key = "node.kubernetes.io/network-unavailable"
        added.append({"key": key, "operator": "Exists", "effect": "NoSchedule"})
    return added
