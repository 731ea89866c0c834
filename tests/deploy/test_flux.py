"""Flux in a cluster: installed in stages, and the wait for its first run, on a real API server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support import flux as support

from nerv.components.flux import resources as components
from nerv.components.flux.settings import FluxSettings
from nerv.deploy import flux
from nerv.errors import NervError
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import DEPLOYMENTS

REVISION = "main@sha1:1111111111111111111111111111111111111111"
OLD = "main@sha1:0000000000000000000000000000000000000000"


@pytest.fixture
async def cluster(client: Client) -> Client:
    await support.install(client)
    spec: Object = {"interval": "1m0s", "url": "https://git.example.test/you/home.git"}
    await client.create(flux.GIT_REPOSITORIES, _named(flux.GIT_REPOSITORIES.kind, spec))
    reference = {"kind": "GitRepository", "name": flux.NAME}
    spec = {"interval": "10m0s", "prune": True, "path": "./clusters/home", "sourceRef": reference}
    await client.create(flux.KUSTOMIZATIONS, _named(flux.KUSTOMIZATIONS.kind, spec))
    return client


def _named(kind: str, spec: Object) -> Object:
    version = "source.toolkit.fluxcd.io/v1" if kind == "GitRepository" else "kustomize.toolkit.fluxcd.io/v1"
    metadata = {"name": flux.NAME, "namespace": flux.NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _ready(status: str, message: str = "", reason: str = "x") -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {"conditions": [condition], **({"observedGeneration": 1} if status == "True" else {})}


async def _source(client: Client, status: dict[str, Any]) -> None:
    await client.patch(flux.GIT_REPOSITORIES, flux.NAME, flux.NAMESPACE, {"status": status}, subresource="status")


async def _applied(client: Client, status: dict[str, Any]) -> None:
    await client.patch(flux.KUSTOMIZATIONS, flux.NAME, flux.NAMESPACE, {"status": status}, subresource="status")


def _artifact(revision: str) -> dict[str, Any]:
    found = {"revision": revision, "digest": "sha256:" + "0" * 64, "path": "x", "url": "http://x/x"}
    return {"artifact": {**found, "lastUpdateTime": "2026-01-01T00:00:00Z"}}


async def test_the_wait_ends_when_the_revision_is_applied(cluster: Client) -> None:
    told: list[str] = []
    waiting = asyncio.ensure_future(flux.wait_for_flux(cluster, revision=REVISION, timeout=20, say=told.append))
    await _source(cluster, _ready("True") | _artifact(REVISION))
    await _applied(cluster, _ready("True") | {"lastAttemptedRevision": REVISION, "lastAppliedRevision": REVISION})
    await waiting
    assert told[0] == f"waiting for GitRepository flux-system/flux-system to fetch {REVISION}"


async def test_an_older_failure_is_waited_out_and_a_new_one_ends_the_wait(cluster: Client) -> None:
    await _source(cluster, _ready("True") | _artifact(REVISION))
    await _applied(cluster, _ready("False", "old trouble") | {"lastAttemptedRevision": OLD})
    waiting = asyncio.ensure_future(flux.wait_for_flux(cluster, revision=REVISION, timeout=20))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    await _applied(cluster, _ready("False", "kustomize build failed") | {"lastAttemptedRevision": REVISION})
    with pytest.raises(NervError, match="Kustomization flux-system/flux-system failed: kustomize build failed"):
        await waiting


async def test_what_a_source_cannot_mend_by_itself_ends_the_wait(cluster: Client) -> None:
    await _source(cluster, _ready("False", "ssh: handshake failed: knownhosts: key mismatch"))
    with pytest.raises(NervError, match="cannot be fetched: ssh: handshake failed"):
        await flux.wait_for_flux(cluster, revision=REVISION, timeout=20)


async def test_what_is_suspended_is_not_waited_for(cluster: Client) -> None:
    await cluster.patch(flux.KUSTOMIZATIONS, flux.NAME, flux.NAMESPACE, {"spec": {"suspend": True}})
    await _source(cluster, _ready("True") | _artifact(REVISION))
    with pytest.raises(NervError, match="Kustomization flux-system/flux-system is suspended"):
        await flux.wait_for_flux(cluster, revision=REVISION, timeout=20)


async def test_no_bare_time_out(cluster: Client) -> None:
    await _source(cluster, _ready("False", "no route to host"))
    expected = rf"waited for GitRepository flux-system/flux-system to fetch {REVISION}; it says: no route to host"
    with pytest.raises(NervError, match=expected):
        await flux.wait_for_flux(cluster, revision=REVISION, timeout=0.3)


async def test_components_are_waited_for_by_name(cluster: Client) -> None:
    await _source(cluster, _ready("True") | _artifact(REVISION))
    await _applied(cluster, _ready("True") | {"lastAttemptedRevision": REVISION})
    with pytest.raises(NervError, match="waited for Deployment flux-system/source-controller to be ready"):
        await flux.wait_for_flux(cluster, revision=REVISION, timeout=0.5, components=["source-controller"])


async def test_another_folder_is_refused(cluster: Client) -> None:
    await flux.check_path(cluster, "clusters/home/")
    with pytest.raises(NervError, match=r"bootstrapped from ./clusters/home, not from ./clusters/other"):
        await flux.check_path(cluster, "clusters/other")


async def test_everything_is_applied_as_flux_in_one_go(client: Client) -> None:
    found = components.components(FluxSettings())
    await flux.apply_all(client, found)
    live = await client.get(DEPLOYMENTS, "source-controller", flux.NAMESPACE)
    assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["flux"]
    version = objects.resource_version(live)
    await flux.apply_all(client, found)
    again = await client.get(DEPLOYMENTS, "source-controller", flux.NAMESPACE)
    assert objects.resource_version(again) == version


async def test_a_refusal_is_one_error(client: Client) -> None:
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "nowhere"}}
    with pytest.raises(errors.NotFound, match="nowhere"):
        await flux.apply_all(client, [wrong])
