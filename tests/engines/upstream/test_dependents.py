"""Who is asked to look again when a dependency turns Ready."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support import flux
from tests.support.apiserver import running
from tests.support.nodes import eventually

from nerv.apiserver.identity import ADMIN
from nerv.controllers.runtime import Informers
from nerv.engines.upstream import dependents
from nerv.engines.upstream.dependents import KUSTOMIZATIONS, REQUESTED_AT
from nerv.kube.client import Client
from nerv.kube.objects import Object

WAITS = "DependencyNotReady"


def _kustomization(
    name: str, *, on: list[Object] | None = None, ready: str = "False", why: str = WAITS, **spec: object
) -> Object:
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system", "generation": 1},
        "spec": {"dependsOn": on or [], **spec},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready, "reason": why}]},
    }


def _names(dependency: Object, *others: Object) -> list[str]:
    return [each["metadata"]["name"] for each in dependents.waiting(dependency, others)]


def test_only_those_that_name_it_and_wait_are_asked() -> None:
    apps = _kustomization("apps", ready="True")
    assert _names(
        apps,
        _kustomization("waits", on=[{"name": "apps"}]),
        _kustomization("by-namespace", on=[{"name": "apps", "namespace": "flux-system"}]),
        _kustomization("elsewhere", on=[{"name": "apps", "namespace": "other"}]),
        _kustomization("done", on=[{"name": "apps"}], ready="True", why="ReconciliationSucceeded"),
        _kustomization("at-work", on=[{"name": "apps"}], ready="Unknown", why="Progressing"),
        _kustomization("suspended", on=[{"name": "apps"}], suspend=True),
        _kustomization("alone"),
        {**_kustomization("other-kind", on=[{"name": "apps"}]), "kind": "HelmRelease"},
    ) == ["waits", "by-namespace"]


def test_one_that_looked_a_moment_too_early_waits_in_vain() -> None:
    apps, other = _kustomization("apps", ready="True", why=""), _kustomization("other", ready="True", why="")
    late = _kustomization("late", on=[{"name": "apps"}, {"name": "other"}])
    assert dependents.in_vain(late, (apps, other, late))
    assert not dependents.in_vain(late, (apps, late))
    stale = {**other, "status": {**other["status"], "observedGeneration": 0}}
    assert not dependents.in_vain(late, (apps, stale, late))
    working = _kustomization("late", on=[{"name": "apps"}], ready="Unknown", why="Progressing")
    assert not dependents.in_vain(working, (apps, working))


async def test_turning_ready_asks_them_the_standard_way(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        client = server.direct(ADMIN)
        await flux.install(client)
        informers = Informers(client)
        controller = dependents.controller(client, informers)
        for name, on in (("apps", []), ("apps-config", [{"name": "apps"}]), ("alone", [])):
            made = _kustomization(
                name, on=on, interval="10m", prune=True, sourceRef={"kind": "GitRepository", "name": "x"}
            )
            await client.create(KUSTOMIZATIONS, made)
            await _write(client, name, "False")
        running_controller = asyncio.create_task(controller.run())
        informer = informers.of(KUSTOMIZATIONS)
        await informer.synced.wait()
        await _write(client, "apps", "True")
        await eventually(lambda: _asked(informer.get("flux-system", "apps-config")), "the request")
        assert not _asked(informer.get("flux-system", "alone"))
        assert not _asked(informer.get("flux-system", "apps"))
        running_controller.cancel()
        await asyncio.gather(running_controller, return_exceptions=True)
        await informers.stop()


def _asked(obj: Object | None) -> bool:
    return obj is not None and REQUESTED_AT in (obj["metadata"].get("annotations") or {})


async def _write(client: Client, name: str, ready: str) -> None:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "ReconciliationSucceeded" if ready == "True" else WAITS,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"observedGeneration": 1, "conditions": [condition]}
    await client.patch(KUSTOMIZATIONS, name, "flux-system", {"status": status}, subresource="status")
