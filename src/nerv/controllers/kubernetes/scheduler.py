"""The scheduler: pods without a node are bound to the one that fits best.

Filters of kube-scheduler 1.31: unschedulable nodes, taints, node name, selector and required affinity, host ports,
resource requests and the number of pods, pod (anti-)affinity, volumes. Score: least allocated, then preferred node
affinity. Not here: preemption, topology spread constraints, extenders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from nerv.controllers.kubernetes import fitting, placement, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.volumes import scheduling as volumes
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch, key_of
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES

_COMPONENT = "default-scheduler"
BY_NODE = "node"


def scheduler(context: Context) -> Controller:
    """The scheduler of pods whose `schedulerName` is default-scheduler."""
    context = Context(context.client.named("kube-scheduler"), context.writer, context.informers, context.config)
    pod_informer = context.informers.of(PODS)
    pod_informer.add_index(BY_NODE, lambda pod: (pod["spec"].get("nodeName", ""),))
    nodes = context.informers.of(NODES)
    claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
    storage = volumes.Storage(claims, context.informers.of(PERSISTENT_VOLUMES), context.informers.of(STORAGE_CLASSES))
    reconciler = _Scheduler(context, pod_informer, nodes, storage, context.recorder(_COMPONENT))
    watches = (
        Watch(pod_informer, reconciler.pod_changed),
        Watch(nodes, reconciler.node_changed),
        Watch(claims, reconciler.claim_changed),
    )
    return Controller("scheduler", reconciler.reconcile, watches, concurrency=32, clock=context.clock)


@dataclass(frozen=True)
class _Scheduler:
    context: Context
    pods: Informer
    nodes: Informer
    storage: volumes.Storage
    recorder: EventRecorder
    assumed: dict[str, tuple[str, Object]] = field(default_factory=dict)
    """Pods by uid that are being bound: their node counts them before the server answers."""

    def pod_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """A pod that waits for a node; and all that wait, when a pod leaves room."""
        if new is not None and _waits(new):
            return (key_of(new),)
        changed = new if new is not None else old
        if changed is not None:
            self.assumed.pop(objects.uid(changed), None)
        left = old is not None and old["spec"].get("nodeName") and (new is None or pods.is_finished(new))
        return self._waiting() if left else ()

    def node_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """All that wait, when a node came or what the filters look at changed."""
        if new is None or (old is not None and _traits(old) == _traits(new)):
            return ()
        return self._waiting()

    def claim_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The waiting pods that use the claim."""
        if new is None:
            return ()
        return [
            key_of(pod)
            for pod in self.pods.indexed(BY_NODE, "")
            if _waits(pod)
            and objects.namespace(pod) == objects.namespace(new)
            and objects.name(new) in volumes.claim_names(pod)
        ]

    def _waiting(self) -> list[Key]:
        return [key_of(pod) for pod in self.pods.indexed(BY_NODE, "") if _waits(pod)]

    async def reconcile(self, key: Key) -> Outcome:
        """Choose a node without a pause (so that no two pods get the same room), then bind."""
        pod = self.pods.get(key.namespace, key.name)
        if pod is None or not _waits(pod) or objects.uid(pod) in self.assumed:
            return Done()
        if pod["spec"].get("schedulingGates"):
            await self._refuse(pod, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
            return Done()
        problem = self.storage.problem(pod)
        if problem:
            count = len(self.nodes.list())
            text = f"0/{count} nodes are available: {problem}. preemption: 0/{count} nodes are available: "
            await self._fail(pod, f"{text}{count} Preemption is not helpful for scheduling.")
            return Done()
        verdict = self._choose(pod)
        if verdict.node is None:
            await self._fail(pod, verdict.message)
            return Done()
        self.assumed[objects.uid(pod)] = (verdict.node, pod)
        bound = False
        try:
            if await self._prepare_volumes(pod, verdict.node):
                await self._bind(pod, verdict.node)
                bound = True
        except errors.NotFound:
            return Done()
        finally:
            # of a bound pod the assumption ends when the informer counts it (`pod_changed`)
            if not bound:
                self.assumed.pop(objects.uid(pod), None)
        return Done()

    def _choose(self, pod: Object) -> _Verdict:
        nodes = sorted(self.nodes.list(), key=objects.name)
        if not nodes:
            return _Verdict(None, "no nodes available to schedule pods")
        request = fitting.request(pod)
        everyone = [each for each in self.pods.list() if each["spec"].get("nodeName") and not pods.is_finished(each)]
        everyone += [{**assumed, "spec": {**assumed["spec"], "nodeName": node}}
                     for node, assumed in self.assumed.values()]  # fmt: skip
        by_node: dict[str, list[Object]] = {}
        for each in everyone:
            by_node.setdefault(each["spec"]["nodeName"], []).append(each)
        labels = {objects.name(node): objects.labels(node) for node in nodes}
        affinity = fitting.Affinity(pod, everyone, labels)
        reasons: Counter[str] = Counter()
        hopeless = 0
        best: tuple[float, int, str] | None = None
        for node in nodes:
            present = by_node.get(objects.name(node), [])
            fixed = _fixed_reason(pod, node) or self.storage.conflict(pod, node)
            found = [fixed] if fixed else fitting.shortages(request, pod, node, present) or affinity.problems(node)
            if found:
                reasons.update(found)
                hopeless += bool(fixed)
                continue
            score = fitting.least_allocated(request, node, present)
            candidate = (score, placement.preferred_score(pod, node), objects.name(node))
            if best is None or candidate[:2] > best[:2]:
                best = candidate
        if best is not None:
            return _Verdict(best[2], "")
        return _Verdict(None, _explain(reasons, len(nodes), hopeless))

    async def _prepare_volumes(self, pod: Object, node: str) -> bool:
        """Tell claims that wait for their first consumer where it runs. True once all are bound."""
        unbound = self.storage.unbound(pod)
        for claim in unbound:
            if objects.annotations(claim).get(volumes.SELECTED_NODE) != node:
                patch = {"metadata": {"annotations": {volumes.SELECTED_NODE: node}}}
                await self.context.writer.patch(PERSISTENT_VOLUME_CLAIMS, claim, patch)
        return not unbound

    async def _bind(self, pod: Object, node: str) -> None:
        name, namespace = objects.name(pod), objects.namespace(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": objects.uid(pod)},
            "target": {"kind": "Node", "name": node},
        }
        await self.context.client.create(PODS, binding, namespace=namespace, name=name, subresource="binding")
        text = f"Successfully assigned {namespace}/{name} to {node}"
        self.recorder.event(pod, "Normal", "Scheduled", text)

    async def _fail(self, pod: Object, message: str) -> None:
        if await self._refuse(pod, "Unschedulable", message):
            self.recorder.event(pod, "Warning", "FailedScheduling", message)

    async def _refuse(self, pod: Object, reason: str, message: str) -> bool:
        """Set PodScheduled to False. Says whether that was news."""
        current = objects.condition(pod, "PodScheduled")
        if current and (current["status"], current.get("reason"), current.get("message")) == ("False", reason, message):
            return False
        status = pod.get("status", {})
        conditions = objects.set_condition(
            status.get("conditions") or [], "PodScheduled", "False", reason, message, None, self.context.clock.now()
        )
        patch = {"status": {"conditions": conditions}, "metadata": {"uid": objects.uid(pod)}}
        await self.context.writer.patch(PODS, pod, patch, subresource="status")
        return True


@dataclass(frozen=True)
class _Verdict:
    """The chosen node, or why there is none."""

    node: str | None
    message: str


def _waits(pod: Object) -> bool:
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName", "default-scheduler") == "default-scheduler"
        and pods.is_active(pod)
    )


def _traits(node: Object) -> tuple[object, ...]:
    return objects.labels(node), placement.taints(node), node.get("status", {}).get("allocatable")


def _fixed_reason(pod: Object, node: Object) -> str:
    """Why the pod can never run there, whatever else leaves the node; empty if nothing speaks against it."""
    if (node.get("spec") or {}).get("unschedulable") and placement.untolerated(
        pod, {"spec": {"unschedulable": True}}, ("NoSchedule",)
    ):
        return "node(s) were unschedulable"
    taint = placement.untolerated(pod, node, ("NoSchedule", "NoExecute"))
    if taint is not None:
        return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not placement.matches_selector(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


def _explain(reasons: Counter[str], count: int, hopeless: int) -> str:
    """kube-scheduler's message: how many nodes for which reason, and that nobody would be preempted."""
    texts = sorted(f"{number} {reason}" for reason, number in reasons.items())
    preemption = []
    if hopeless:
        preemption.append(f"{hopeless} Preemption is not helpful for scheduling")
    if count > hopeless:
        preemption.append(f"{count - hopeless} No preemption victims found for incoming pod")
    head = f"0/{count} nodes are available: "
    return f"{head}{', '.join(texts)}. preemption: {head}{', '.join(sorted(preemption))}."
