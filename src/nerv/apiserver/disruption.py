"""PodDisruptionBudgets at eviction: whether one pod less is still allowed, and writing down that it goes."""

from __future__ import annotations

from nerv.apiserver import writes
from nerv.apiserver.context import Context
from nerv.apiserver.identity import ADMIN
from nerv.apiserver.requests import Call, Target
from nerv.http.messages import Request
from nerv.kube import errors, selectors
from nerv.kube.objects import Object, labels, timestamp

_KEY = "poddisruptionbudgets.policy"
_FREE_PHASES = ("Succeeded", "Failed", "Pending")


async def spend(context: Context, pod: Object) -> None:
    """Count the eviction of `pod` against its budget. Raises errors.TooManyRequests, errors.InternalError."""
    meta = pod["metadata"]
    if (pod.get("status") or {}).get("phase") in _FREE_PHASES or meta.get("deletionTimestamp"):
        return
    budgets = [
        entry.load()
        for entry in context.store.iterate(_KEY, meta["namespace"])
        if selectors.from_object(entry.load()["spec"].get("selector")).matches(labels(pod))
    ]
    if not budgets:
        return
    if len(budgets) > 1:
        raise errors.InternalError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    name = budgets[0]["metadata"]["name"]
    served = context.registry.require("policy", "v1", "poddisruptionbudgets")
    target = Target("update", "", "policy", "v1", "poddisruptionbudgets", meta["namespace"], name, "status")

    def make(budget: Object) -> Object:
        status = budget.get("status") or {}
        if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
            raise _too_many("The disruption budget is still being processed by the server.")
        if status.get("disruptionsAllowed", 0) <= 0:
            wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
            raise _too_many(f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently")
        status["disruptionsAllowed"] -= 1
        status.setdefault("disruptedPods", {})[meta["name"]] = timestamp(context.now())
        budget["status"] = status
        return budget

    await writes.update(context, served, Call(Request("PUT", ""), ADMIN, target), make)


def _too_many(why: str) -> errors.TooManyRequests:
    cause = {"reason": "DisruptionBudget", "message": why}
    return errors.TooManyRequests(
        "Cannot evict pod as it would violate the pod's disruption budget.", {"causes": [cause]}
    )
