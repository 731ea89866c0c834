"""Sources: from the world outside, through the mirror, to artifacts and what their status says."""

from __future__ import annotations

import base64
import hashlib
import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support import needs
from tests.support.flux import CHARTS, HOST_KEY, NAMESPACE, SSH_URL, URL, World, config_map, world

from nerv import documents
from nerv.builders import helm, ssh
from nerv.builders.git import Access
from nerv.controllers.flux.api import (
    BUCKETS,
    FINALIZER,
    GIT_REPOSITORIES,
    HELM_CHARTS,
    HELM_REPOSITORIES,
    KUSTOMIZATIONS,
    OCI_REPOSITORIES,
    READY,
)
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS
from nerv.mirror import ChartOrigin


def chart_folder(folder: Path, name: str, version: str) -> Path:
    """A chart with one template and two values files."""
    path = folder / f"{name}-{version}"
    (path / "templates").mkdir(parents=True)
    (path / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: {version}\n")
    (path / "values.yaml").write_text("a: 1\nb: {c: 2}\n")
    (path / "prod.yaml").write_text("b: {c: 3, d: 4}\n")
    (path / "templates/c.yaml").write_text("kind: ConfigMap\n")
    return path


@pytest.fixture
async def flux(tmp_path: Path) -> AsyncIterator[World]:
    charts = tuple(
        ChartOrigin(CHARTS, "web", version, chart_folder(tmp_path / "stand-ins", "web", version))
        for version in ("1.2.3", "1.10.0", "2.0.0-rc.1")
    )
    async with world(tmp_path, charts) as found:
        yield found


def artifact_path(flux: World, obj: Object) -> Path:
    return flux.storage / "artifacts" / obj["status"]["artifact"]["path"]


async def chart(flux: World, name: str = "web", **spec: object) -> None:
    reference = {"kind": "HelmRepository", "name": "charts"}
    await flux.create(HELM_CHARTS, name, {"chart": "web", "interval": "1m0s", "sourceRef": reference, **spec})


async def repository(flux: World, **spec: object) -> None:
    await flux.create(HELM_REPOSITORIES, "charts", {"url": CHARTS, "interval": "1h0m0s", **spec})


async def test_the_artifact_of_a_repository(flux: World) -> None:
    commit = flux.repository.commit(
        "first",
        {"a.yaml": "x", ".sops.yaml": "x", "logo.png": "x", "keep/b.yaml": "x", ".sourceignore": "/no\n", "no/c": ""},
    )
    await flux.source()
    done = await flux.ready(GIT_REPOSITORIES, "home", commit)
    assert objects.finalizers(done) == [FINALIZER]
    status = done["status"]
    revision = f"main@sha1:{commit}"
    assert status["observedGeneration"] == 1
    path = artifact_path(flux, done)
    assert status["artifact"] == {
        "path": f"gitrepository/{NAMESPACE}/home/{commit}.tar.gz",
        "url": f"http://source-controller.flux-system.svc.cluster.local./gitrepository/{NAMESPACE}/home/{commit}.tar.gz",
        "revision": revision,
        "digest": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
        "size": path.stat().st_size,
        "lastUpdateTime": "2025-06-01T00:00:00Z",
    }
    with tarfile.open(path) as archive:
        assert [each.name for each in archive if each.isfile()] == [".sourceignore", "a.yaml", "keep/b.yaml"]
    shown = {item["type"]: (item["status"], item["reason"], item["message"]) for item in status["conditions"]}
    stored = ("True", "Succeeded", f"stored artifact for revision '{revision}'")
    assert shown == {"Ready": stored, "ArtifactInStorage": stored}
    await flux.event("GitRepository", "home", "Normal", "NewArtifact", "stored artifact for commit 'first'")


async def test_an_unchanged_repository_changes_nothing(flux: World) -> None:
    commit = flux.repository.commit("first", {"a.yaml": "x"})
    await flux.source()
    before = await flux.ready(GIT_REPOSITORIES, "home", commit)
    after = await flux.request(GIT_REPOSITORIES, "home", "again")
    assert after["status"]["artifact"] == before["status"]["artifact"]
    flux.clock.advance(61)
    await flux.settle()
    assert flux.get(GIT_REPOSITORIES, "home")["status"]["artifact"] == before["status"]["artifact"]


async def test_every_kind_of_reference(flux: World) -> None:
    first = flux.repository.commit("first", {"a.yaml": "1"})
    flux.repository.git("tag", "-a", "v1.0.0", "-m", "x")
    second = flux.repository.commit("second", {"a.yaml": "2"})
    flux.repository.git("tag", "v1.1.0")
    third = flux.repository.commit("third", {"a.yaml": "3"})
    cases = {
        "tag": ({"tag": "v1.0.0"}, f"v1.0.0@sha1:{first}"),
        "semver": ({"semver": ">=1.0.0"}, f"v1.1.0@sha1:{second}"),
        "name": ({"name": "refs/heads/main"}, f"refs/heads/main@sha1:{third}"),
        "commit": ({"commit": second}, f"sha1:{second}"),
        "both": ({"commit": second, "branch": "main"}, f"main@sha1:{second}"),
    }
    for name, (reference, revision) in cases.items():
        await flux.source(name, ref=reference)
        done = await flux.ready(GIT_REPOSITORIES, name)
        assert done["status"]["artifact"]["revision"] == revision


async def test_failures_in_flux_words(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": "x"})
    await flux.source("branch", ref={"branch": "none"})
    message = await flux.failed(GIT_REPOSITORIES, "branch", "GitOperationFailed")
    why = 'couldn\'t find remote ref "refs/heads/none"'
    assert message == f"failed to checkout and determine revision: unable to clone '{URL}': {why}"
    failed = flux.get(GIT_REPOSITORIES, "branch")
    assert objects.is_true(failed, "FetchFailed")
    assert objects.condition(failed, "Reconciling")["reason"] == "ProgressingWithRetry"
    assert failed["status"].get("observedGeneration", -1) == -1
    await flux.event("GitRepository", "branch", "Warning", "GitOperationFailed", message)
    await flux.source("elsewhere", url="https://nowhere.example.test/x.git")
    message = await flux.failed(GIT_REPOSITORIES, "elsewhere", "GitOperationFailed")
    assert "unable to clone 'https://nowhere.example.test/x.git': " in message
    await flux.source("secret", secretRef={"name": "none"})
    assert await flux.failed(GIT_REPOSITORIES, "secret", "AuthenticationFailed") == (
        "failed to get secret 'flux-system/none': secrets \"none\" not found"
    )
    await flux.source("range", ref={"semver": ">=9"})
    message = await flux.failed(GIT_REPOSITORIES, "range", "GitOperationFailed")
    assert message.endswith("no match found for semver: >=9")


async def test_a_failed_source_is_tried_again_and_recovers(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": "x"})
    await flux.source(ref={"branch": "later"})
    await flux.failed(GIT_REPOSITORIES, "home", "GitOperationFailed")
    flux.repository.git("branch", "later")
    await flux.timer(0.75)
    flux.clock.advance(1)
    done = await flux.ready(GIT_REPOSITORIES, "home")
    assert objects.condition(done, "FetchFailed") is None


async def test_a_failed_fetch_keeps_the_artifact(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": config_map("a")})
    await flux.source()
    await flux.kustomization("apps")
    before = await flux.ready(GIT_REPOSITORIES, "home")
    await flux.ready(KUSTOMIZATIONS, "apps")
    await flux.patch(GIT_REPOSITORIES, "home", {"spec": {"ref": {"branch": "none"}}})
    await flux.failed(GIT_REPOSITORIES, "home", "GitOperationFailed")
    assert flux.get(GIT_REPOSITORIES, "home")["status"]["artifact"] == before["status"]["artifact"]
    await flux.request(KUSTOMIZATIONS, "apps", "again")
    await flux.ready(KUSTOMIZATIONS, "apps")


async def test_a_lost_artifact_is_made_again(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": "x"})
    await flux.source()
    done = await flux.ready(GIT_REPOSITORIES, "home")
    artifact_path(flux, done).unlink()
    again = await flux.request(GIT_REPOSITORIES, "home", "again")
    assert again["status"]["artifact"]["digest"] == done["status"]["artifact"]["digest"]
    assert artifact_path(flux, again).exists()


async def test_what_shapes_the_artifact_makes_a_new_one(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": "x", "sub/b.yaml": "x", "docs/c.yaml": "x"})
    await flux.source()
    before = await flux.ready(GIT_REPOSITORIES, "home")
    await flux.patch(GIT_REPOSITORIES, "home", {"spec": {"ignore": "/docs\n"}})
    changed = await flux.wait(GIT_REPOSITORIES, "home", lambda obj: obj["status"].get("observedIgnore") == "/docs\n")
    assert changed["status"]["artifact"]["digest"] != before["status"]["artifact"]["digest"]
    await flux.patch(GIT_REPOSITORIES, "home", {"spec": {"ignore": None, "sparseCheckout": ["sub"]}})
    changed = await flux.wait(GIT_REPOSITORIES, "home", lambda obj: "observedSparseCheckout" in obj["status"])
    with tarfile.open(artifact_path(flux, changed)) as archive:
        assert [each.name for each in archive if each.isfile()] == ["sub/b.yaml"]
    await flux.patch(GIT_REPOSITORIES, "home", {"spec": {"sparseCheckout": ["none"]}})
    message = await flux.failed(GIT_REPOSITORIES, "home", "GitOperationFailed")
    assert "sparse checkout dir 'none' does not exist in repository" in message


async def test_one_repository_in_another(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": "x"})
    include = [{"repository": {"name": "inner"}, "toPath": "vendor"}]
    await flux.source("outer", include=include)
    await flux.failed(GIT_REPOSITORIES, "outer", "NotFound")
    await flux.source("inner")
    done = await flux.ready(GIT_REPOSITORIES, "outer")
    with tarfile.open(artifact_path(flux, done)) as archive:
        assert [each.name for each in archive if each.isfile()] == ["a.yaml", "vendor/a.yaml"]
    assert len(done["status"]["includedArtifacts"]) == 1


async def test_a_deleted_source_leaves_nothing_behind(flux: World) -> None:
    flux.repository.commit("first", {"a.yaml": "x"})
    await flux.source()
    done = await flux.ready(GIT_REPOSITORIES, "home")
    await flux.client.delete(GIT_REPOSITORIES, "home", NAMESPACE)
    await flux.gone(GIT_REPOSITORIES, "home")
    assert not artifact_path(flux, done).exists()
    assert not list(flux.storage.rglob("a.yaml"))


async def test_what_cannot_be_fetched_here_says_so(flux: World) -> None:
    await flux.create(OCI_REPOSITORIES, "oci", {"url": "oci://registry.example.test/x", "interval": "1m0s"})
    await flux.create(
        BUCKETS, "bucket", {"endpoint": "s3.example.test", "bucketName": "x", "interval": "1m0s", "provider": "generic"}
    )
    for resource, name in ((OCI_REPOSITORIES, "oci"), (BUCKETS, "bucket")):
        await flux.failed(resource, name, "UnsupportedSourceKind")
        assert objects.is_true(flux.get(resource, name), "Stalled")


def ssh_secret(name: str, **values: str) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


@needs.SSH
async def test_a_repository_over_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # other tests have identities meanwhile
    known_hosts = ssh.known_host("git.example.test", 22, HOST_KEY.public)
    async with world(tmp_path, url=SSH_URL) as flux:
        commit = flux.repository.commit("first", {"a.yaml": "x"})
        secret = ssh_secret("key", identity=ssh.generate().private, known_hosts=known_hosts)
        await flux.client.create(SECRETS, secret)
        await flux.source(url=SSH_URL, secretRef={"name": "key"})
        found = await flux.ready(GIT_REPOSITORIES, "home")
        assert found["status"]["artifact"]["revision"] == f"main@sha1:{commit}"
        assert not list(Path(tempfile.gettempdir()).glob("nerv-git-*/identity"))


@needs.SSH
async def test_ssh_without_a_known_host_says_why(tmp_path: Path) -> None:
    another = ssh.known_host("git.example.test", 22, ssh.generate().public)
    identity = ssh.generate().private
    async with world(tmp_path, url=SSH_URL) as flux:
        for name, values, reason, said in (
            ("bare", {"identity": identity}, "AuthenticationFailed", "'ssh' auth option: 'known_hosts' is required"),
            ("none", {"known_hosts": another}, "AuthenticationFailed", "'ssh' auth option: 'identity' is required"),
            ("bad", {"identity": "x", "known_hosts": another}, "GitOperationFailed", "ssh: no key found"),
            ("other", {"identity": identity, "known_hosts": another}, "GitOperationFailed", "knownhosts: key mismatch"),
        ):
            await flux.client.create(SECRETS, ssh_secret(name, **values))
            await flux.source(name, url=SSH_URL, secretRef={"name": name})
            message = await flux.failed(GIT_REPOSITORIES, name, reason)
            assert said in message
            assert identity.splitlines()[1] not in message


async def test_credentials_of_a_secret_reach_git(flux: World) -> None:
    data = {"username": base64.b64encode(b"git").decode(), "password": base64.b64encode(b"token").decode()}
    metadata = {"name": "login", "namespace": NAMESPACE}
    await flux.client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    flux.repository.commit("first", {"a.yaml": "x"})
    await flux.source(secretRef={"name": "login"})
    await flux.ready(GIT_REPOSITORIES, "home")
    assert Access(username="git", password="token").environment(URL)["GIT_CONFIG_VALUE_1"].startswith("Authorization: ")


async def test_the_index_of_a_chart_repository(flux: World) -> None:
    await repository(flux)
    done = await flux.ready(HELM_REPOSITORIES, "charts")
    artifact = done["status"]["artifact"]
    assert artifact["revision"].startswith("sha256:")
    index = documents.load_json(artifact_path(flux, done).read_bytes())
    assert {entry["version"] for entry in index["entries"]["web"]} == {"1.2.3", "1.10.0", "2.0.0-rc.1"}
    assert done["status"]["url"].endswith(f"/helmrepository/{NAMESPACE}/charts/index.yaml")
    assert objects.condition(done, READY)["message"] == f"stored artifact: revision '{artifact['revision']}'"
    await flux.event("HelmRepository", "charts", "Normal", "NewArtifact", f"from '{CHARTS}'")


@pytest.mark.parametrize(
    ("version", "found"), [("1.2.3", "1.2.3"), ("1.x", "1.10.0"), ("*", "1.10.0"), (">=2.0.0-0", "2.0.0-rc.1")]
)
async def test_a_chart_of_a_repository(flux: World, version: str, found: str) -> None:
    # the chart comes first: the repository wakes it
    await chart(flux, version=version)
    await flux.failed(HELM_CHARTS, "web", "SourceUnavailable")
    await repository(flux)
    done = await flux.ready(HELM_CHARTS, "web")
    status = done["status"]
    message = f"pulled 'web' chart with version '{found}'"
    ready = objects.condition(done, READY)
    assert (ready["reason"], ready["message"]) == ("ChartPullSucceeded", message)
    assert status["artifact"]["revision"] == found
    assert status["artifact"]["path"] == f"helmchart/{NAMESPACE}/web/web-{found}.tgz"
    assert status["observedChartName"] == "web"
    assert status["observedSourceArtifactRevision"].startswith("sha256:")
    assert helm.load(artifact_path(flux, done).read_bytes()).metadata["version"] == found
    await flux.event("HelmChart", "web", "Normal", "ChartPullSucceeded", message)


async def test_values_files_are_merged_into_the_chart(flux: World) -> None:
    await repository(flux)
    await chart(flux, version="1.2.3", valuesFiles=["values.yaml", "prod.yaml"])
    done = await flux.ready(HELM_CHARTS, "web")
    packed = helm.load(artifact_path(flux, done).read_bytes())
    assert packed.values == {"a": 1, "b": {"c": 3, "d": 4}}
    assert packed.metadata["version"] == "1.2.3+1"
    ready = objects.condition(done, READY)
    assert ready["message"] == (
        "packaged 'web' chart with version '1.2.3+1' and merged values files [values.yaml prod.yaml]"
    )
    await chart(flux, "bad", version="1.2.3", valuesFiles=["none.yaml"])
    message = await flux.failed(HELM_CHARTS, "bad", "ValuesFilesError")
    assert message.endswith("no values file found at path 'none.yaml'")


async def test_charts_that_are_not_there(flux: World) -> None:
    await repository(flux)
    await chart(flux, "version", version="9.x")
    assert await flux.failed(HELM_CHARTS, "version", "InvalidChartReference") == (
        "invalid chart reference: failed to get chart version for remote reference: "
        "no 'web' chart with version matching '9.x' found"
    )
    assert objects.is_true(flux.get(HELM_CHARTS, "version"), "Stalled")
    await chart(flux, "name", chart="nothing")
    message = await flux.failed(HELM_CHARTS, "name", "InvalidChartReference")
    assert "no 'nothing' chart found" in message


async def test_a_chart_out_of_git(flux: World) -> None:
    files = {"charts/own/Chart.yaml": "apiVersion: v2\nname: own\nversion: 0.1.0\n", "charts/own/values.yaml": "a: 1\n"}
    commit = flux.repository.commit("first", files)
    await flux.source()
    reference = {"kind": "GitRepository", "name": "home"}
    await chart(flux, "own", chart="./charts/own", sourceRef=reference)
    await chart(flux, "each", chart="./charts/own", sourceRef=reference, reconcileStrategy="Revision")
    await chart(flux, "none", chart="./charts/none", sourceRef=reference)
    done = await flux.ready(HELM_CHARTS, "own")
    ready = objects.condition(done, READY)
    assert (ready["reason"], ready["message"]) == (
        "ChartPackageSucceeded",
        "packaged 'own' chart with version '0.1.0'",
    )
    each = await flux.ready(HELM_CHARTS, "each")
    assert each["status"]["artifact"]["revision"] == f"0.1.0+{commit[:12]}"
    message = await flux.failed(HELM_CHARTS, "none", "InvalidChartReference")
    assert message.startswith("invalid chart reference: no chart found at reference path './charts/none'")
    last = flux.repository.commit("second", {"charts/own/values.yaml": "a: 2\n"})
    await flux.wait(HELM_CHARTS, "each", lambda obj: obj["status"]["artifact"]["revision"] == f"0.1.0+{last[:12]}")


async def test_repositories_that_cannot_be_fetched(flux: World) -> None:
    await repository(flux, url="https://charts.example.test/none")
    assert await flux.failed(HELM_REPOSITORIES, "charts", "Failed") == (
        "failed to fetch Helm repository index: failed to fetch https://charts.example.test/none/index.yaml : "
        "404 Not Found"
    )
    await flux.create(HELM_REPOSITORIES, "oci", {"url": "oci://registry.example.test/x", "interval": "1m0s"})
    await flux.failed(HELM_REPOSITORIES, "oci", "URLInvalid")
    await flux.create(
        HELM_REPOSITORIES, "static", {"url": "oci://registry.example.test/x", "interval": "1m0s", "type": "oci"}
    )
    await flux.settle()
    static = flux.get(HELM_REPOSITORIES, "static")
    assert objects.finalizers(static) == ()
    assert "conditions" not in static.get("status", {})
