"""Health: what is waited for, what ends a wait, and what the conditions say."""

from __future__ import annotations

from typing import Any

from tests.support.flux import World, config_map

from nerv import documents
from nerv.controllers.flux.api import HEALTHY, HELM_RELEASES, KUSTOMIZATIONS, READY
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS


def release(name: str) -> str:
    """A HelmRelease, which only gets healthy when somebody writes its status; its chart never comes."""
    return documents.dump(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"interval": "1h0m0s", "suspend": True, "chartRef": {"kind": "HelmChart", "name": "none"}},
        }
    )


async def judge(flux: World, name: str, status: str, *extra: dict[str, str], generation: int = 1) -> None:
    """Write a HelmRelease's status as helm-controller would."""
    stamp = {"lastTransitionTime": "2025-06-01T00:00:00Z", "reason": "Test", "message": ""}
    conditions = [{"type": "Ready", "status": status, **stamp}, *({**stamp, **each} for each in extra)]
    patch = {"status": {"conditions": conditions, "observedGeneration": generation}}
    await flux.patch(HELM_RELEASES, name, patch, subresource="status")


def healthy(obj: Object) -> tuple[Any, ...]:
    found = objects.condition(obj, HEALTHY) or {}
    return found.get("status"), found.get("reason")


async def test_wait_lasts_until_everything_is_healthy(flux: World) -> None:
    commit = flux.repository.commit("first", {"r.yaml": release("web"), "c.yaml": config_map("c")})
    await flux.source()
    await flux.kustomization("apps", wait=True, timeout="5m0s")
    waiting = await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj) == ("Unknown", "Progressing"))
    message = f"Running health checks for revision main@sha1:{commit} with a timeout of 5m0s"
    assert objects.condition(waiting, "Reconciling")["message"] == message
    assert objects.condition(waiting, READY)["status"] == "Unknown"
    await flux.wait(HELM_RELEASES, "web")
    await judge(flux, "web", "True")
    done = await flux.ready(KUSTOMIZATIONS, "apps")
    assert healthy(done) == ("True", "Succeeded")
    await flux.event("Kustomization", "apps", "Normal", "Progressing", "Health check passed in ")


async def test_a_stalled_object_ends_the_wait_at_once(flux: World) -> None:
    flux.repository.commit("first", {"r.yaml": release("web"), "s.yaml": release("slow")})
    await flux.source()
    await flux.kustomization("apps", wait=True, timeout="5m0s")
    await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj)[0] == "Unknown")
    await judge(flux, "web", "False", {"type": "Stalled", "status": "True"})
    message = await flux.failed(KUSTOMIZATIONS, "apps", "HealthCheckFailed")
    assert message == (
        "health check failed after 0s: failed early due to stalled resources: "
        "[HelmRelease/flux-system/web status: 'Failed']"
    )
    failed = await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj) == ("False", "HealthCheckFailed"))
    assert "lastAppliedRevision" not in failed["status"]
    await flux.event("Kustomization", "apps", "Warning", "HealthCheckFailed", message)


async def test_the_timeout_names_what_is_not_healthy(flux: World) -> None:
    flux.repository.commit("first", {"r.yaml": release("web")})
    await flux.source()
    await flux.kustomization("apps", wait=True, timeout="1m30s")
    await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj)[0] == "Unknown")
    await flux.timer(90)
    await judge(flux, "web", "False")
    flux.clock.advance(91)
    message = await flux.failed(KUSTOMIZATIONS, "apps", "HealthCheckFailed")
    assert message.startswith("health check failed after 1m3")
    assert message.endswith("timeout waiting for: [HelmRelease/flux-system/web status: 'InProgress']")


async def test_listed_checks_are_looked_at_without_wait(flux: World) -> None:
    flux.repository.commit("first", {"c.yaml": config_map("c"), "r.yaml": release("ignored")})
    await flux.source()
    check = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "namespace": "default"}
    await flux.kustomization("apps", healthChecks=[check], timeout="1m30s")
    await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj)[0] == "Unknown")
    await flux.client.create(CONFIG_MAPS, documents.load(config_map("other")))
    await flux.ready(KUSTOMIZATIONS, "apps")


async def test_without_checks_there_is_no_healthy_condition(flux: World) -> None:
    flux.repository.commit("first", {"r.yaml": release("web")})
    await flux.source()
    await flux.kustomization("apps")
    done = await flux.ready(KUSTOMIZATIONS, "apps")
    assert objects.condition(done, HEALTHY) is None


async def test_a_kustomization_does_not_wait_for_itself(flux: World) -> None:
    own = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "root", "namespace": "flux-system"},
        "spec": {
            "interval": "10m0s",
            "prune": True,
            "wait": True,
            "sourceRef": {"kind": "GitRepository", "name": "home"},
        },
    }
    flux.repository.commit("first", {"own.yaml": documents.dump(own), "c.yaml": config_map("c")})
    await flux.source()
    await flux.kustomization("root", wait=True)
    await flux.ready(KUSTOMIZATIONS, "root")


async def test_expressions_decide_for_their_kinds(flux: World) -> None:
    flux.repository.commit("first", {"r.yaml": release("web")})
    await flux.source()
    expressions = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "current": "status.conditions.filter(e, e.type == 'Released').all(e, e.status == 'True')",
        "failed": "status.conditions.exists(e, e.type == 'Released' && e.status == 'False')",
    }
    await flux.kustomization("apps", wait=True, healthCheckExprs=[expressions], timeout="1m30s")
    await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj)[0] == "Unknown")
    await judge(flux, "web", "True", {"type": "Released", "status": "False"})
    message = await flux.failed(KUSTOMIZATIONS, "apps", "HealthCheckFailed")
    assert message.endswith("[HelmRelease/flux-system/web status: 'Failed']")
    await judge(flux, "web", "False", {"type": "Released", "status": "True"})
    await flux.request(KUSTOMIZATIONS, "apps", "again")
    await flux.ready(KUSTOMIZATIONS, "apps")


async def test_an_expression_over_a_status_that_is_not_there_waits(flux: World) -> None:
    flux.repository.commit("first", {"c.yaml": config_map("c")})
    await flux.source()
    expressions = {"apiVersion": "v1", "kind": "ConfigMap", "current": "status.conditions.all(e, e.status == 'True')"}
    await flux.kustomization("apps", wait=True, healthCheckExprs=[expressions], timeout="1m30s")
    await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj)[0] == "Unknown")
    await flux.timer(90)
    flux.clock.advance(91)
    message = await flux.failed(KUSTOMIZATIONS, "apps", "HealthCheckFailed")
    assert "[ConfigMap/default/c status: 'Unknown': failed to evaluate the CEL expression " in message


async def test_an_invalid_expression_stalls(flux: World) -> None:
    flux.repository.commit("first", {"c.yaml": config_map("c")})
    await flux.source()
    expressions = {"apiVersion": "v1", "kind": "ConfigMap", "current": "status.("}
    await flux.kustomization("apps", wait=True, healthCheckExprs=[expressions])
    message = await flux.failed(KUSTOMIZATIONS, "apps", "InvalidCELExpression")
    assert message.startswith("Reconciliation failed terminally due to configuration error: failed to create custom ")
    stalled = await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: objects.is_true(obj, "Stalled"))
    assert stalled["status"]["observedGeneration"] == 1
    assert await flux.read(CONFIG_MAPS, "c") is None


async def test_a_new_revision_ends_a_wait(flux: World) -> None:
    flux.repository.commit("first", {"r.yaml": release("web")})
    await flux.source()
    await flux.kustomization("apps", wait=True, timeout="1h0m0s")
    await flux.wait(KUSTOMIZATIONS, "apps", lambda obj: healthy(obj)[0] == "Unknown")
    await flux.timer(3600)
    last = flux.repository.commit("second", {"r.yaml": None, "c.yaml": config_map("c")})
    await flux.ready(KUSTOMIZATIONS, "apps", last)
    await flux.event(
        "Kustomization", "apps", "Normal", "HealthCheckCanceled", "triggered by GitRepository/flux-system/home"
    )


async def test_many_waiting_kustomizations_do_not_hold_up_another(flux: World) -> None:
    flux.repository.commit(
        "first", {f"w/{n}/r.yaml": release(f"web-{n}") for n in range(20)} | {"c/c.yaml": config_map("c")}
    )
    await flux.source()
    for n in range(20):
        await flux.kustomization(f"w-{n}", path=f"w/{n}", wait=True)
    for n in range(20):
        await flux.wait(KUSTOMIZATIONS, f"w-{n}", lambda obj: healthy(obj)[0] == "Unknown")
    await flux.kustomization("c", path="c", wait=True)
    await flux.ready(KUSTOMIZATIONS, "c")
