"""PodDisruptionBudgets: how many pods may be evicted now.

Behaviour of k8s.io/kubernetes/pkg/controller/disruption 1.31. The expected number of pods comes from the controllers'
`spec.replicas` (Deployment, ReplicaSet, StatefulSet, ReplicationController); other owners count the pods there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nerv.controllers.kubernetes import pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.deployment.scaling import replicas, scaled_value
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch, key_of
from nerv.kube import objects, selectors
from nerv.kube.objects import Object
from nerv.kube.resources import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)


def disruption_budgets(context: Context) -> Controller:
    """The controller of policy/v1 PodDisruptionBudgets."""
    budgets = context.informers.of(POD_DISRUPTION_BUDGETS)
    pod_informer = context.informers.of(PODS)
    scales = {
        resource.kind: context.informers.of(resource)
        for resource in (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, REPLICATION_CONTROLLERS)
    }
    reconciler = _Budgets(context, budgets, pod_informer, scales)
    by_namespace = tuple(Watch(informer, reconciler.scale_changed) for informer in scales.values())
    watches = (Watch(budgets), Watch(pod_informer, reconciler.pod_changed), *by_namespace)
    return Controller("disruption-controller", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Budgets:
    context: Context
    budgets: Informer
    pods: Informer
    scales: dict[str, Informer]

    def pod_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The budgets that select the pod, when something changed that they count."""
        if old is not None and new is not None and _traits(old) == _traits(new):
            return ()
        return {
            key_of(budget)
            for pod in (old, new)
            if pod is not None
            for budget in self.budgets.list(objects.namespace(pod))
            if _selects(budget, pod)
        }

    def scale_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """All budgets of the namespace, when the wanted number of a workload changed."""
        if old is not None and new is not None and replicas(old) == replicas(new):
            return ()
        obj = new if new is not None else old
        return [key_of(budget) for budget in self.budgets.list(objects.namespace(obj))] if obj is not None else ()

    async def reconcile(self, key: Key) -> Outcome:
        """Count and write the status."""
        budget = self.budgets.get(key.namespace, key.name)
        if budget is None:
            return Done()
        mine = [pod for pod in self.pods.list(key.namespace) if _selects(budget, pod)]
        expected, desired = self._numbers(budget, mine)
        disrupted = self._disrupted(budget, mine)
        healthy = sum(
            pods.is_ready(pod) and not objects.deleting(pod) and objects.name(pod) not in disrupted for pod in mine
        )
        allowed = max(healthy - desired, 0) if expected > 0 else 0
        status: Object = {
            "observedGeneration": objects.generation(budget),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        state, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
        status["conditions"] = objects.set_condition(
            budget.get("status", {}).get("conditions") or [],
            "DisruptionAllowed",
            state,
            reason,
            "",
            objects.generation(budget),
            self.context.clock.now(),
        )
        await self.context.writer.status(POD_DISRUPTION_BUDGETS, budget, status)
        return Done()

    def _numbers(self, budget: Object, mine: Sequence[Object]) -> tuple[int, int]:
        """How many pods there should be, and how many of these must be healthy."""
        spec = budget["spec"]
        if spec.get("maxUnavailable") is not None:
            expected = self._expected(mine)
            return expected, max(expected - scaled_value(spec["maxUnavailable"], expected, up=True), 0)
        least = spec.get("minAvailable", 1)
        if isinstance(least, int):
            return len(mine), least
        expected = self._expected(mine)
        return expected, scaled_value(least, expected, up=True)

    def _expected(self, mine: Sequence[Object]) -> int:
        found: dict[str, int] = {}
        for pod in mine:
            owner = self._root(pod)
            if owner is not None:
                found[objects.uid(owner)] = replicas(owner)
            else:
                found[objects.uid(pod)] = 1
        return sum(found.values())

    def _root(self, obj: Object) -> Object | None:
        """The topmost workload that controls the object, None where it has none with a scale."""
        reference = objects.controller_of(obj)
        if reference is None or reference["kind"] not in self.scales:
            return None
        owner = self.scales[reference["kind"]].get(objects.namespace(obj), reference["name"])
        if owner is None or objects.uid(owner) != reference["uid"]:
            return None
        return self._root(owner) or owner

    def _disrupted(self, budget: Object, mine: Sequence[Object]) -> dict[str, str]:
        """Evictions that were granted and not carried out yet; forgotten after two minutes."""
        noted = budget.get("status", {}).get("disruptedPods") or {}
        present = {objects.name(pod) for pod in mine if not objects.deleting(pod)}
        now = self.context.clock.now()
        return {
            name: moment
            for name, moment in noted.items()
            if name in present and (now - objects.parse_time(moment)).total_seconds() < 120
        }


def _selects(budget: Object, pod: Object) -> bool:
    selector = budget["spec"].get("selector")
    return selector is not None and selectors.from_object(selector).matches(objects.labels(pod))


def _traits(pod: Object) -> tuple[object, ...]:
    return objects.labels(pod), pods.is_ready(pod), objects.deleting(pod), objects.controller_of(pod)
