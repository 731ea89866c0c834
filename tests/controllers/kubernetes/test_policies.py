"""Disruption budgets and quotas through the real API."""

from __future__ import annotations

from tests.support.controllers import World, template, workload

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    RESOURCE_QUOTAS,
)


async def test_budget_counts_what_may_be_evicted(world: World) -> None:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}
    await world.create(POD_DISRUPTION_BUDGETS, budget)
    empty = await world.wait(POD_DISRUPTION_BUDGETS, "web", lambda obj: "status" in obj)
    assert empty["status"]["disruptionsAllowed"] == 0
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=3))
    full = await world.wait(POD_DISRUPTION_BUDGETS, "web", lambda obj: obj["status"]["currentHealthy"] == 3)
    status = full["status"]
    assert (status["expectedPods"], status["desiredHealthy"], status["disruptionsAllowed"]) == (3, 2, 1)
    assert objects.condition(full, "DisruptionAllowed")["reason"] == "SufficientPods"


async def test_quota_shows_what_is_used(world: World) -> None:
    hard = {"pods": "10", "requests.cpu": "4", "limits.memory": "4Gi", "count/deployments.apps": "2", "configmaps": "9"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}
    await world.create(RESOURCE_QUOTAS, quota)
    pod = template({"app": "web"})
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "250m"}, "limits": {"memory": "512Mi"}}
    await world.create(DEPLOYMENTS, workload("Deployment", "web", replicas=2, template=pod))
    extra: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}}
    await world.create(CONFIG_MAPS, extra)
    expected = {
        "pods": "2",
        "requests.cpu": "500m",
        "limits.memory": "1Gi",
        "count/deployments.apps": "1",
        "configmaps": "2",
    }
    await world.wait(RESOURCE_QUOTAS, "q", lambda obj: obj.get("status", {}).get("used") == expected)
