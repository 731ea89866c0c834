"""Charts, rendering, releases and values without a cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.commands import eventually
from tests.support.helm import chart

from nerv import documents, process
from nerv.builders import helm
from nerv.builders.helm import Capabilities, gojson, manifests, releases, sdk, values
from nerv.kube.objects import Object

TEMPLATE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
data:
  kube: {{ .Capabilities.KubeVersion.Version }}
  major: {{ .Capabilities.KubeVersion.Major | quote }}
  deployments: {{ .Capabilities.APIVersions.Has "apps/v1/Deployment" | quote }}
  podSecurity: {{ .Capabilities.APIVersions.Has "policy/v1beta1" | quote }}
  helm: {{ .Capabilities.HelmVersion.Version }}
  install: {{ .Release.IsInstall | quote }}
  upgrade: {{ .Release.IsUpgrade | quote }}
  revision: {{ .Release.Revision | quote }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: hook
  annotations: {{ .Values.annotations | toYaml | nindent 4 }}
"""
HOOK = {
    "helm.sh/hook": "post-install, pre-upgrade",
    "helm.sh/hook-weight": "-3",
    "helm.sh/hook-delete-policy": "hook-succeeded",
}
HERE = Capabilities("v1.31.4", ("v1", "apps/v1", "apps/v1/Deployment"))


async def test_templates_read_the_truth(tmp_path: Path) -> None:
    loaded = helm.load(chart(tmp_path, templates={"a.yaml": TEMPLATE, "NOTES.txt": "Hello {{ .Release.Name }}"}))
    rendered = await helm.render(
        loaded,
        name="app",
        namespace="here",
        values={"annotations": HOOK},
        capabilities=HERE,
        revision=4,
        is_upgrade=True,
    )
    (only,) = rendered.manifests
    assert only.object["metadata"] == {"name": "app", "namespace": "here"}
    assert only.object["data"] == {
        "kube": "v1.31.4",
        "major": "1",
        "deployments": "true",
        "podSecurity": "false",
        "helm": "v3.17.3",
        "install": "false",
        "upgrade": "true",
        "revision": "4",
    }
    (hook,) = rendered.hooks
    assert (hook.events, hook.weight, hook.delete_policies) == (
        ("post-install", "pre-upgrade"),
        -3,
        ("hook-succeeded",),
    )
    assert "helm.sh/hook" in hook.manifest
    assert rendered.notes == "Hello app"


async def test_an_unsupported_kubernetes_version_is_refused(tmp_path: Path) -> None:
    loaded = helm.load(chart(tmp_path, metadata={"kubeVersion": ">=1.40.0-0"}))
    with pytest.raises(helm.HelmError, match=r"chart requires kubeVersion: >=1.40.0-0 which is incompatible with"):
        await helm.render(loaded, name="app", namespace="here", values={}, capabilities=HERE)


async def test_errors_name_the_line(tmp_path: Path) -> None:
    loaded = helm.load(chart(tmp_path, templates={"a.yaml": 'a: 1\nb: {{ required "give me b" .Values.b }}\n'}))
    with pytest.raises(helm.HelmError, match=r"demo/templates/a.yaml:2:\d+\): give me b"):
        await helm.render(loaded, name="app", namespace="here", values={}, capabilities=HERE)


async def test_dependencies_are_rendered_with_the_same_truth(tmp_path: Path) -> None:
    inner = chart(tmp_path / "inner", name="inner", templates={"a.yaml": TEMPLATE}, values={"annotations": HOOK})
    folder = tmp_path / "charts" / "demo-1.0.0"
    chart(tmp_path, metadata={"dependencies": [{"name": "inner", "version": "1.0.0", "repository": ""}]})
    (folder / "charts").mkdir()
    (folder / "charts" / "inner-1.0.0.tgz").write_bytes(inner)
    loaded = helm.load(helm.package(folder))
    rendered = await helm.render(loaded, name="app", namespace="here", values={}, capabilities=HERE, revision=2)
    assert rendered.manifests[0].object["data"]["revision"] == "2"
    assert [hook.name for hook in rendered.hooks] == ["hook"]


def test_packing_depends_on_the_files_alone(tmp_path: Path) -> None:
    archive = chart(tmp_path, templates={"a.yaml": "a", "_helpers.tpl": "b", ".hidden": "c"})
    folder = tmp_path / "charts" / "demo-1.0.0"
    (folder / ".helmignore").write_text("# comment\n*.bak\nsecret/\n")
    (folder / "x.bak").write_text("x")
    (folder / "secret").mkdir()
    (folder / "secret" / "key").write_text("x")
    ignoring = helm.package(folder)
    assert helm.package(folder) == ignoring
    names = {path for path, _ in helm.load(ignoring).files}
    assert names == {".helmignore"}
    assert {path for path, _ in helm.load(archive).templates} == {"templates/a.yaml", "templates/_helpers.tpl"}


def test_a_folder_without_chart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(helm.ChartError, match=r"has no Chart\.yaml"):
        helm.package(tmp_path)
    with pytest.raises(helm.ChartError, match="not a chart archive"):
        helm.load(b"nonsense")


def made(**changes: str) -> releases.Release:
    """A release with everything in it."""
    hook = releases.Hook(
        "t", "Pod", "x", "kind: Pod", ("test",), 2, (), releases.HookRun("2025-06-01T00:00:00Z", "", "Running")
    )
    info = releases.Info("2025-06-01T00:00:00Z", "2025-06-01T00:00:00.5Z", "", "Install complete", releases.DEPLOYED)
    stored = {"metadata": {"name": "demo", "version": "1.0.0"}, "values": {}}
    release = releases.Release("app", "here", 3, info, stored, {"a": {"b": 1}}, "kind: X\n", (hook,), {"team": "x"})
    return release.now(releases.DEPLOYED, **changes)


def test_releases_survive_their_storage() -> None:
    secret = releases.to_secret(made(), datetime(2025, 6, 1, tzinfo=UTC), "there")
    assert secret["metadata"]["name"] == "sh.helm.release.v1.app.v3"
    assert secret["metadata"]["labels"] == {
        "name": "app", "owner": "helm", "status": "deployed", "version": "3", "modifiedAt": "1748736000", "team": "x",
    }  # fmt: skip
    assert releases.from_secret(secret) == made()


def test_what_is_no_release_is_named() -> None:
    secret: Object = {"metadata": {"name": "x"}, "data": {"release": "bm8="}}
    with pytest.raises(ValueError, match="Secret x holds no Helm release"):
        releases.from_secret(secret)


def test_digests_leave_tests_out_and_see_everything_else() -> None:
    before = made()
    (hook,) = before.hooks
    tested = before.with_hook(releases.Hook(hook.name, hook.kind, hook.path, hook.manifest, hook.events, 9))
    assert releases.digest(tested) == releases.digest(before)
    assert releases.digest(made(description="another")) != releases.digest(before)
    assert releases.digest(before, "sha256:0") != releases.digest(before)


def test_json_is_written_as_go_does() -> None:
    value = {"b": gojson.Map({"z": 1, "a": [1.0, 1e21, 1e-7, 0.5, 1.5e-5]}), "a": "<&>\u2028\n\x01"}
    text = r'{"b":{"a":[1,1e+21,1e-7,0.5,0.000015],"z":1},"a":"\u003c\u0026\u003e\u2028\n\u0001"}'
    assert gojson.dumps(value) == text


def test_values_are_digested_as_sorted_yaml() -> None:
    assert values.digest({}) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    text = (
        'a: "yes"\nb:\n  e: {}\n  l: []\n  x:\n  - 1\n  - "2"\n  - k: null\nd: "2020-01-01"\nt: |\n  a\n  b\nz: 1.5\n'
    )
    given_values = {
        "z": 1.5,
        "b": {"x": [1, "2", {"k": None}], "e": {}, "l": []},
        "a": "yes",
        "d": "2020-01-01",
        "t": "a\nb\n",
    }
    assert documents.dump_sorted(given_values) == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="ascii", exclude_categories=["C"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1), JSON, max_size=4))
def test_sorted_yaml_says_the_same(value: dict[str, object]) -> None:
    assert documents.load(documents.dump_sorted(value)) == value


@given(st.dictionaries(st.text("abc", min_size=1), JSON), st.dictionaries(st.text("abc", min_size=1), JSON))
def test_merging_again_changes_nothing(base: dict[str, object], over: dict[str, object]) -> None:
    once = values.merge(base, over)
    assert values.merge(once, over) == once


def test_values_are_set_by_path() -> None:
    start = {"a": {"l": [1, 2, 3]}, "b": 1}
    assert values.set_path(start, "a.l[1]", "x") == {"a": {"l": [1, "x", 3]}, "b": 1}
    assert values.set_path(start, "c.d", "true") == {**start, "c": {"d": True}}
    assert values.set_path(start, "c.d", "'true'") == {**start, "c": {"d": "true"}}
    assert start == {"a": {"l": [1, 2, 3]}, "b": 1}


def test_kinds_are_ordered_for_installing_and_uninstalling() -> None:
    kinds = ["Zebra", "Deployment", "Namespace", "Apple", "Service", "CustomResourceDefinition"]
    found = [manifests.Manifest("x", "", {"kind": kind}) for kind in kinds]
    order = ["Namespace", "CustomResourceDefinition", "Service", "Deployment", "Apple", "Zebra"]
    assert [each.kind for each in manifests.in_order(found)] == order
    undone = ["Deployment", "Service", "CustomResourceDefinition", "Namespace", "Apple", "Zebra"]
    assert [each.kind for each in manifests.in_order(found, uninstall=True)] == undone


def test_the_library_is_loaded_when_first_needed_only() -> None:
    script = "import sys; import nerv.builders.helm; print(any(name.startswith('helm_python') for name in sys.modules))"
    done = asyncio.run(process.run([sys.executable, "-c", script]))
    assert done.stdout.strip() == "False"


def test_a_worker_that_died_is_started_again_and_asked_once_more() -> None:
    worker = sdk.Worker()
    try:
        assert worker.ask("read_yaml", ["a: 1"]) == ['{"a":1}']
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert worker.ask("read_yaml", ["a: 1"]) == ['{"a":1}']
        assert worker.pid not in (None, first)
    finally:
        worker.end()


def test_a_question_that_ends_the_worker_is_refused() -> None:
    worker = sdk.Worker(["true"])
    with pytest.raises(helm.HelmError, match="ended"):
        worker.ask("read_yaml", ["a: 1"])
    assert worker.pid is None


def test_an_idle_worker_is_ended() -> None:
    worker = sdk.Worker(idle_seconds=0)
    worker.ask("read_yaml", ["a: 1"])
    eventually(lambda: worker.pid is None, "the worker to end")
