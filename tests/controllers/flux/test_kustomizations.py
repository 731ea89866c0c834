"""Kustomizations from a commit to applied, pruned and healthy objects."""

from __future__ import annotations

from tests.support.flux import World, config_map

from nerv.controllers.flux.api import GIT_REPOSITORIES, KUSTOMIZATIONS, READY
from nerv.kube import objects
from nerv.kube.resources import CONFIG_MAPS


async def test_a_commit_is_applied(flux: World) -> None:
    commit = flux.repository.commit("first", {"apps/a.yaml": config_map("a", x="1")})
    await flux.source()
    await flux.kustomization("apps", path="./apps")
    source = await flux.ready(GIT_REPOSITORIES, "home", commit)
    done = await flux.ready(KUSTOMIZATIONS, "apps", commit)
    revision = f"main@sha1:{commit}"
    assert source["status"]["artifact"]["revision"] == revision
    status = done["status"]
    assert status["lastAppliedRevision"] == status["lastAttemptedRevision"] == revision
    assert status["observedGeneration"] == 1
    assert status["inventory"] == {"entries": [{"id": "default_a__ConfigMap", "v": "v1"}]}
    assert objects.condition(done, READY)["reason"] == "ReconciliationSucceeded"
    assert objects.condition(done, READY)["message"] == f"Applied revision: {revision}"
    applied = await flux.wait(CONFIG_MAPS, "a", namespace="default")
    assert applied["metadata"]["labels"] == {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    (managed,) = applied["metadata"]["managedFields"]
    assert (managed["manager"], managed["operation"]) == ("kustomize-controller", "Apply")
