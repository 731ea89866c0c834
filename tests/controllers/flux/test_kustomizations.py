"""Kustomizations from a commit to applied, pruned and healthy objects."""

from __future__ import annotations

import pytest
from tests.support.flux import World, config_map

from nerv import documents
from nerv.controllers.flux.api import GIT_REPOSITORIES, KUSTOMIZATIONS, READY
from nerv.controllers.flux.kustomization import dependencies
from nerv.kube import objects
from nerv.kube.resources import CLUSTER_ROLE_BINDINGS, CONFIG_MAPS, NAMESPACES


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


async def test_a_new_commit_is_noticed_applied_and_pruned(flux: World) -> None:
    flux.repository.commit("first", {"apps/a.yaml": config_map("a", x="1"), "apps/b.yaml": config_map("b")})
    await flux.source()
    await flux.kustomization("apps", path="./apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    second = flux.repository.commit("second", {"apps/a.yaml": config_map("a", x="2"), "apps/b.yaml": None})
    done = await flux.ready(KUSTOMIZATIONS, "apps", second)
    await flux.wait(CONFIG_MAPS, "a", lambda obj: obj["data"] == {"x": "2"}, "default")
    await flux.gone(CONFIG_MAPS, "b", "default")
    assert done["status"]["inventory"] == {"entries": [{"id": "default_a__ConfigMap", "v": "v1"}]}
    for message in (
        "ConfigMap/default/a created\nConfigMap/default/b created",
        "ConfigMap/default/a configured",
        "ConfigMap/default/b deleted",
    ):
        await flux.event("Kustomization", "apps", "Normal", "Progressing", message)


async def test_events_carry_the_revision(flux: World) -> None:
    commit = flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    revision = f"main@sha1:{commit}"
    done = await flux.event("Kustomization", "apps", "Normal", "ReconciliationSucceeded", "next run in 10m0s")
    assert done["metadata"]["annotations"] == {"kustomize.toolkit.fluxcd.io/revision": revision}
    stored = await flux.event("GitRepository", "home", "Normal", "NewArtifact", "stored artifact for commit 'first'")
    assert stored["metadata"]["annotations"]["source.toolkit.fluxcd.io/revision"] == revision


async def test_drift_is_undone_at_the_interval_and_silence_kept_where_nothing_changed(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a", x="1")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    before = await flux.read(CONFIG_MAPS, "a")
    await flux.request(KUSTOMIZATIONS, "apps", "one")
    await flux.ready(KUSTOMIZATIONS, "apps")
    assert await flux.read(CONFIG_MAPS, "a") == before
    await flux.client.patch(CONFIG_MAPS, "a", "default", {"data": {"x": "hand"}}, field_manager="kubectl-edit")
    flux.clock.advance(600)
    await flux.wait(CONFIG_MAPS, "a", lambda obj: obj["data"] == {"x": "1"}, "default")


async def test_what_kubectl_applied_is_taken_over(flux: World) -> None:
    manifest = documents.load(config_map("a", x="1", extra="left over"))
    manifest["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    await flux.client.create(CONFIG_MAPS, manifest, field_manager="kubectl-client-side-apply")
    flux.repository.commit("first", {"a.yaml": config_map("a", x="1")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    taken = await flux.wait(CONFIG_MAPS, "a", namespace="default")
    assert taken["data"] == {"x": "1"}
    assert "annotations" not in taken["metadata"]
    assert {entry["manager"] for entry in taken["metadata"]["managedFields"]} == {"kustomize-controller"}


async def test_switches_on_objects(flux: World) -> None:
    def switched(name: str, switch: str, value: str) -> str:
        obj = documents.load(config_map(name, x="git"))
        obj["metadata"]["annotations"] = {f"kustomize.toolkit.fluxcd.io/{switch}": value}
        return documents.dump(obj)

    await flux.client.create(CONFIG_MAPS, documents.load(config_map("present", x="live")))
    flux.repository.commit(
        "first",
        {
            "ignored.yaml": switched("ignored", "ssa", "Ignore"),
            "present.yaml": switched("present", "ssa", "IfNotPresent"),
            "kept.yaml": switched("kept", "prune", "disabled"),
            "off.yaml": switched("off", "reconcile", "disabled"),
            "gone.yaml": config_map("gone"),
        },
    )
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    assert await flux.read(CONFIG_MAPS, "ignored") is None
    assert await flux.read(CONFIG_MAPS, "off") is None
    assert (await flux.read(CONFIG_MAPS, "present"))["data"] == {"x": "live"}
    last = flux.repository.commit("second", {"kept.yaml": None, "gone.yaml": None})
    await flux.ready(KUSTOMIZATIONS, "apps", last)
    await flux.gone(CONFIG_MAPS, "gone", "default")
    assert await flux.read(CONFIG_MAPS, "kept") is not None


async def test_only_owned_objects_are_pruned(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    label = {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "another"}}}
    await flux.client.patch(CONFIG_MAPS, "a", "default", label)
    last = flux.repository.commit("second", {"a.yaml": None})
    await flux.ready(KUSTOMIZATIONS, "apps", last)
    assert await flux.read(CONFIG_MAPS, "a") is not None


async def test_without_prune_nothing_is_deleted(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await flux.source()
    await flux.kustomization("apps", prune=False)
    await flux.ready(KUSTOMIZATIONS, "apps")
    last = flux.repository.commit("second", {"a.yaml": None})
    await flux.ready(KUSTOMIZATIONS, "apps", last)
    assert await flux.read(CONFIG_MAPS, "a") is not None


async def test_definitions_namespaces_and_their_objects_in_one_commit(flux: World) -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.test"},
        "spec": {
            "group": "example.test",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    thing = {"apiVersion": "example.test/v1", "kind": "Thing", "metadata": {"name": "one", "namespace": "new"}}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
    flux.repository.commit("first", {"all.yaml": documents.dump_all([thing, space, definition])})
    await flux.source()
    await flux.kustomization("apps")
    done = await flux.ready(KUSTOMIZATIONS, "apps")
    assert [entry["id"] for entry in done["status"]["inventory"]["entries"]] == [
        "_things.example.test_apiextensions.k8s.io_CustomResourceDefinition",
        "_new__Namespace",
        "new_one_example.test_Thing",
    ]


async def test_one_bad_object_keeps_its_stage_from_being_applied(flux: World) -> None:
    bad = documents.load(config_map("bad"))
    bad["data"] = {"not a key!": "x"}
    commit = flux.repository.commit("first", {"a.yaml": config_map("a"), "bad.yaml": documents.dump(bad)})
    await flux.source()
    await flux.kustomization("apps", retryInterval="1m0s")
    message = await flux.failed(KUSTOMIZATIONS, "apps", "ReconciliationFailed")
    assert message.startswith('ConfigMap/default/bad dry-run failed (Invalid): ConfigMap "bad" is invalid: ')
    assert await flux.read(CONFIG_MAPS, "a") is None
    failed = await flux.wait(
        KUSTOMIZATIONS, "apps", lambda obj: "lastHandled" not in obj["status"] and bool(obj["status"]["conditions"])
    )
    assert failed["status"]["lastAttemptedRevision"] == f"main@sha1:{commit}"
    assert "lastAppliedRevision" not in failed["status"]
    assert failed["status"].get("observedGeneration", -1) == -1
    reconciling = objects.condition(failed, "Reconciling")
    assert (reconciling["status"], reconciling["reason"]) == ("True", "ProgressingWithRetry")
    await flux.event("Kustomization", "apps", "Warning", "ReconciliationFailed", message)
    last = flux.repository.commit("mended", {"bad.yaml": None})
    await flux.ready(KUSTOMIZATIONS, "apps", last)


async def test_an_unknown_kind_and_a_missing_namespace_in_flux_words(flux: World) -> None:
    pool = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": "p", "namespace": "x"}}
    flux.repository.commit("first", {"kind/p.yaml": documents.dump(pool), "space/a.yaml": config_map("a", "nowhere")})
    await flux.source()
    await flux.kustomization("kind", path="kind")
    await flux.kustomization("space", path="space")
    assert await flux.failed(KUSTOMIZATIONS, "kind", "ReconciliationFailed") == (
        'IPAddressPool/x/p dry-run failed: no matches for kind "IPAddressPool" in version "metallb.io/v1beta1"\n'
    )
    assert await flux.failed(KUSTOMIZATIONS, "space", "ReconciliationFailed") == (
        'ConfigMap/nowhere/a not found: namespaces "nowhere" not found\n'
    )


async def test_an_object_without_namespace(flux: World) -> None:
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bare"}}
    flux.repository.commit("first", {"a.yaml": documents.dump(bare)})
    await flux.source()
    await flux.kustomization("apps")
    message = await flux.failed(KUSTOMIZATIONS, "apps", "ReconciliationFailed")
    assert message.startswith("ConfigMap/bare namespace not specified: ")
    await flux.patch(KUSTOMIZATIONS, "apps", {"spec": {"targetNamespace": "default"}})
    await flux.ready(KUSTOMIZATIONS, "apps")
    assert await flux.read(CONFIG_MAPS, "bare") is not None


async def test_immutable_fields_need_force(flux: World) -> None:
    def fixed(value: str) -> str:
        return documents.dump({**documents.load(config_map("a", x=value)), "immutable": True})

    flux.repository.commit("first", {"a.yaml": fixed("1")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    uid = (await flux.read(CONFIG_MAPS, "a"))["metadata"]["uid"]
    last = flux.repository.commit("second", {"a.yaml": fixed("2")})
    message = await flux.failed(KUSTOMIZATIONS, "apps", "ReconciliationFailed")
    assert "ConfigMap/default/a dry-run failed (Invalid)" in message
    assert "immutable" in message
    await flux.patch(KUSTOMIZATIONS, "apps", {"spec": {"force": True}})
    await flux.ready(KUSTOMIZATIONS, "apps", last)
    made_anew = await flux.wait(CONFIG_MAPS, "a", lambda obj: obj["data"] == {"x": "2"}, "default")
    assert made_anew["metadata"]["uid"] != uid


async def test_build_failures(flux: World) -> None:
    flux.repository.commit("first", {"bad/a.yaml": "a: b: c\n", "list/kustomization.yaml": "resources: [none.yaml]\n"})
    await flux.source()
    await flux.kustomization("yaml", path="./bad")
    await flux.kustomization("list", path="./list")
    await flux.kustomization("path", path="./none")
    message = await flux.failed(KUSTOMIZATIONS, "yaml", "BuildFailed")
    assert message.startswith("failed to decode Kubernetes YAML from bad/a.yaml: MalformedYAMLError: yaml: line 1: ")
    message = await flux.failed(KUSTOMIZATIONS, "list", "BuildFailed")
    assert message.startswith("kustomize build failed: accumulating resources: accumulation err=")
    assert await flux.failed(KUSTOMIZATIONS, "path", "ArtifactFailed") == (
        "kustomization path not found: stat none: no such file or directory"
    )


async def test_a_missing_source_and_one_without_artifact(flux: World) -> None:
    await flux.kustomization("apps")
    assert await flux.failed(KUSTOMIZATIONS, "apps", "ArtifactFailed") == (
        'GitRepository.source.toolkit.fluxcd.io "home" not found'
    )
    await flux.source(suspend=True)
    await flux.request(KUSTOMIZATIONS, "apps", "again")
    assert await flux.failed(KUSTOMIZATIONS, "apps", "ArtifactFailed") == ("Source artifact not found, retrying in 30s")
    await flux.patch(GIT_REPOSITORIES, "home", {"spec": {"suspend": False}})
    await flux.ready(KUSTOMIZATIONS, "apps")


async def test_suspended_means_untouched_and_resumed_goes_on(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a", x="1")})
    await flux.source()
    await flux.kustomization("apps")
    done = await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.patch(KUSTOMIZATIONS, "apps", {"spec": {"suspend": True}})
    last = flux.repository.commit("second", {"a.yaml": config_map("a", x="2")})
    await flux.ready(GIT_REPOSITORIES, "home", last)
    await flux.settle()
    assert flux.get(KUSTOMIZATIONS, "apps")["status"] == done["status"]
    assert (await flux.read(CONFIG_MAPS, "a"))["data"] == {"x": "1"}
    await flux.patch(KUSTOMIZATIONS, "apps", {"spec": {"suspend": False}})
    await flux.ready(KUSTOMIZATIONS, "apps", last)


async def test_a_request_is_answered_by_its_token(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.request(KUSTOMIZATIONS, "apps", "token-1")
    await flux.request(GIT_REPOSITORIES, "home", "token-2")


async def test_dependencies_in_flux_words_and_without_waiting_for_a_clock(flux: World) -> None:
    flux.repository.commit("first", {"a/a.yaml": config_map("a"), "b/b.yaml": config_map("b", "late")})
    await flux.source()
    await flux.kustomization("second", path="a", dependsOn=[{"name": "first"}])
    assert await flux.failed(KUSTOMIZATIONS, "second", "DependencyNotReady") == (
        "dependency 'flux-system/first' not found: kustomizations.kustomize.toolkit.fluxcd.io \"first\" not found"
    )
    await flux.kustomization("first", path="b")
    await flux.failed(KUSTOMIZATIONS, "first", "ReconciliationFailed")
    await flux.wait(
        KUSTOMIZATIONS,
        "second",
        lambda obj: objects.condition(obj, READY)["message"] == "dependency 'flux-system/first' is not ready",
    )
    assert await flux.read(CONFIG_MAPS, "a") is None
    await flux.event(
        "Kustomization",
        "second",
        "Normal",
        "DependencyNotReady",
        "Dependencies do not meet ready condition, retrying in 30s",
    )
    await flux.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}})
    await flux.request(KUSTOMIZATIONS, "first", "again")
    await flux.ready(KUSTOMIZATIONS, "first")
    await flux.ready(KUSTOMIZATIONS, "second")


def test_what_makes_a_dependency_ready() -> None:
    def kustomization(name: str, **status: object) -> dict[str, object]:
        reference = {"kind": "GitRepository", "name": "home"}
        metadata = {"name": name, "namespace": "ns", "generation": 2}
        spec = {"sourceRef": reference, "dependsOn": [{"name": "first"}]}
        return {"kind": "Kustomization", "metadata": metadata, "spec": spec, "status": status}

    ready = [{"type": "Ready", "status": "True"}]
    for status, why in (
        ({}, "is not ready"),
        ({"conditions": ready, "observedGeneration": 1, "lastAppliedRevision": "r2"}, "is not ready"),
        ({"conditions": [{"type": "Ready", "status": "False"}], "observedGeneration": 2}, "is not ready"),
        ({"conditions": ready, "observedGeneration": 2, "lastAppliedRevision": "r1"}, "revision is not up to date"),
    ):
        found = dependencies.missing(kustomization("x"), "r2", lambda *_, s=status: kustomization("first", **s))
        assert found == f"dependency 'ns/first' {why}"
    done = kustomization("first", conditions=ready, observedGeneration=2, lastAppliedRevision="r2")
    assert dependencies.missing(kustomization("x"), "r2", lambda *_: done) == ""
    # another source moves on its own
    done["spec"]["sourceRef"] = {"kind": "GitRepository", "name": "other"}
    assert dependencies.missing(kustomization("x"), "r3", lambda *_: done) == ""


async def test_deletion_takes_the_objects_along(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.client.delete(KUSTOMIZATIONS, "apps", "flux-system")
    await flux.gone(KUSTOMIZATIONS, "apps")
    await flux.gone(CONFIG_MAPS, "a", "default")


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ({"prune": False}, True),
        ({"prune": False, "deletionPolicy": "Delete"}, False),
        ({"deletionPolicy": "Orphan"}, True),
        ({"deletionPolicy": "WaitForTermination"}, False),
    ],
)
async def test_deletion_policies(flux: World, spec: dict[str, object], kept: bool) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps", **spec)
    await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.wait(CONFIG_MAPS, "a", namespace="default")
    await flux.client.delete(KUSTOMIZATIONS, "apps", "flux-system")
    await flux.gone(KUSTOMIZATIONS, "apps")
    await flux.settle()
    assert (await flux.read(CONFIG_MAPS, "a") is not None) is kept


async def test_waiting_for_termination_ends_at_the_timeout(flux: World) -> None:
    held = documents.load(config_map("a"))
    held["metadata"]["finalizers"] = ["example.test/hold"]
    flux.repository.commit("first", {"a.yaml": documents.dump(held)})
    await flux.source()
    await flux.kustomization("apps", deletionPolicy="WaitForTermination", timeout="1m1s")
    await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.wait(CONFIG_MAPS, "a", namespace="default")
    await flux.client.delete(KUSTOMIZATIONS, "apps", "flux-system")
    await flux.wait(CONFIG_MAPS, "a", objects.deleting, "default")
    assert flux.get(KUSTOMIZATIONS, "apps") is not None
    await flux.timer(61)
    flux.clock.advance(62)
    await flux.gone(KUSTOMIZATIONS, "apps")
    await flux.event(
        "Kustomization", "apps", "Warning", "ReconciliationSucceeded", "failed to wait for resources termination"
    )


async def test_a_suspended_kustomization_leaves_everything_behind(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.patch(KUSTOMIZATIONS, "apps", {"spec": {"suspend": True}})
    await flux.client.delete(KUSTOMIZATIONS, "apps", "flux-system")
    await flux.gone(KUSTOMIZATIONS, "apps")
    assert (await flux.client.get(CONFIG_MAPS, "a", "default"))["metadata"]["name"] == "a"


async def test_an_impersonated_account_needs_its_rights(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps", serviceAccountName="deployer")
    message = await flux.failed(KUSTOMIZATIONS, "apps", "ReconciliationFailed")
    assert "ConfigMap/default/a dry-run failed (Forbidden): " in message
    assert "system:serviceaccount:flux-system:deployer" in message
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": "flux-system"}],
    }
    await flux.client.create(CLUSTER_ROLE_BINDINGS, binding)
    await flux.request(KUSTOMIZATIONS, "apps", "again")
    await flux.ready(KUSTOMIZATIONS, "apps")


async def test_when_the_account_is_gone_the_deletion_still_ends(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps")
    await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.patch(KUSTOMIZATIONS, "apps", {"spec": {"serviceAccountName": "gone"}})
    await flux.failed(KUSTOMIZATIONS, "apps", "ReconciliationFailed")
    await flux.client.delete(KUSTOMIZATIONS, "apps", "flux-system")
    await flux.gone(KUSTOMIZATIONS, "apps")
    reason = "ReconciliationFailed"
    await flux.event("Kustomization", "apps", "Warning", reason, "unable to prune objects: \nConfigMap/default/a")


async def test_a_remote_cluster_is_refused_clearly(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps", kubeConfig={"secretRef": {"name": "remote"}})
    message = await flux.failed(KUSTOMIZATIONS, "apps", "ReconciliationFailed")
    assert message.startswith("failed to build kube client: ")


async def test_common_metadata_and_owner_labels(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps", commonMetadata={"labels": {"team": "x"}, "annotations": {"note": "y"}})
    await flux.ready(KUSTOMIZATIONS, "apps")
    metadata = (await flux.read(CONFIG_MAPS, "a"))["metadata"]
    assert metadata["labels"]["team"] == "x"
    assert metadata["annotations"] == {"note": "y"}
    # RBAC names may hold colons
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "a:b"},
        "rules": [],
    }
    last = flux.repository.commit("second", {"role.yaml": documents.dump(role)})
    done = await flux.ready(KUSTOMIZATIONS, "apps", last)
    ids = [entry["id"] for entry in done["status"]["inventory"]["entries"]]
    assert "_a__b_rbac.authorization.k8s.io_ClusterRole" in ids


async def test_one_failing_kustomization_does_not_hold_up_others(flux: World) -> None:
    files = {f"ok/{n}/a.yaml": config_map(f"ok-{n}") for n in range(20)}
    files |= {f"bad/{n}/a.yaml": config_map(f"bad-{n}", "nowhere") for n in range(5)}
    flux.repository.commit("first", files)
    await flux.source()
    for n in range(5):
        await flux.kustomization(f"bad-{n}", path=f"bad/{n}")
    for n in range(20):
        await flux.kustomization(f"ok-{n}", path=f"ok/{n}")
    for n in range(20):
        await flux.ready(KUSTOMIZATIONS, f"ok-{n}")
