"""A cluster with nothing in it, a Git server on loopback with an authority of its own, and `nerv bootstrap` between
them: Flux reconciles the whole platform from what was pushed, as it would on K3s.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import commands, needs
from tests.support.commands import Home, eventually
from tests.support.github import Hub, github
from tests.support.platforms import SMALL

from nerv import process
from nerv.builders import ssh
from nerv.builders.git import Access

pytestmark = [
    pytest.mark.timeout(400),
    needs.SSH,
]
TOKEN = "ghp_a-secret-of-the-end-to-end-test"
ENGINES = ("embedded", pytest.param("upstream", marks=commands.NEEDS_UPSTREAM))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with github(tmp_path / "hub") as running:
        running.token(TOKEN, "you", scopes={"repo"})
        yield running


def _name(hub: Hub, engine: str) -> None:
    """In a pod `localhost` is the pod itself: the real Flux is given this machine's other name."""
    if engine == "embedded":
        return
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        address = ""
    if not address.startswith("127."):
        pytest.skip("this machine has no name of its own on loopback, and the real Flux needs one")
    hub.name = socket.gethostname()


def _home(tmp_path: Path, hub: Hub, url: str, components: str = "") -> Home:
    home = Home.at(tmp_path)
    home.environment["GITHUB_TOKEN"] = TOKEN
    home.folder.mkdir()
    text = SMALL.replace("https://github.com/you/home.git", f"{url}\n    provider: generic")
    text += components
    (home.folder / "nerv.yaml").write_text(text)
    home.nerv("init", str(home.folder))
    (tmp_path / "hub.crt").write_text(hub.ca.certificate)
    return home


def _bootstrap(home: Home, hub: Hub, *options: str, code: int = 0) -> str:
    done = home.nerv(
        "bootstrap", "github", "--hostname", hub.hostname, "--ca-file", str(home.folder.parent / "hub.crt"), *options,
        code=code, timeout=300,
    )  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr
    return done.stderr


def _complete(home: Home) -> None:
    """3 of 3 Kustomizations, 4 of 4 HelmReleases, every pod."""
    eventually(lambda: home.status()["healthy"], "the whole platform from the Git server", timeout=240)
    status = home.status()
    assert [item["name"] for item in status["kustomizations"]] == ["flux-system", "apps", "apps-config"]
    assert len(status["releases"]) == 4
    assert {item["ready"] for item in (*status["kustomizations"], *status["releases"])} == {"True"}


@pytest.mark.parametrize("engine", ENGINES)
def test_over_https_with_a_token(tmp_path: Path, hub: Hub, engine: str) -> None:
    _name(hub, engine)
    home = _home(tmp_path, hub, f"https://{hub.hostname}/you/home.git")
    with commands.up(home, "--bare", "--engine", engine):
        assert home.get("namespaces", "default")["metadata"]["name"] == "default"
        said = _bootstrap(home, hub, "--dry-run")
        assert "would create the private repository you/home" in said
        assert hub.writes == []
        said = _bootstrap(home, hub)
        assert "install Flux's components" in said
        _complete(home)
        head = hub.repository("you", "home").git("rev-parse", "main")
        source = home.get("gitrepository", "-n", "flux-system", "flux-system")
        assert source["status"]["artifact"]["revision"] == f"main@sha1:{head}"
        secret = home.get("secret", "-n", "flux-system", "flux-system")
        assert sorted(secret["data"]) == ["ca.crt", "password", "username"]

        # nothing is left to do
        versions = _versions(home)
        hub.calls.clear()
        assert "nothing to do" in _bootstrap(home, hub)
        assert hub.writes == []
        assert _versions(home) == versions
        assert hub.repository("you", "home").git("rev-parse", "main") == head

        # another folder would take the platform away
        said = _bootstrap(home, hub, "--path", "clusters/other", code=1)
        assert "this cluster is bootstrapped from ./clusters/home, not from ./clusters/other" in said

        # a commit here is nothing until it is pushed
        (home.folder / "apps" / "extra.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: default}\n"
        )
        kustomization = home.folder / "apps" / "kustomization.yaml"
        kustomization.write_text(kustomization.read_text().replace("resources:\n", "resources:\n- extra.yaml\n"))
        home.commit("One more")
        _bootstrap(home, hub)
        eventually(lambda: home.kubectl("get", "configmap", "extra", code=None), "what was pushed")
        log = (home.folder / ".nerv" / "logs" / "nerv.log").read_text()
        assert TOKEN not in log

    # started again it is what it was, still from the Git server
    with commands.up(home):
        _complete(home)


def _versions(home: Home) -> dict[str, str]:
    found = {}
    for kind, name in (("gitrepository", "flux-system"), ("kustomization", "flux-system"), ("secret", "flux-system")):
        obj = home.get(kind, "-n", "flux-system", name)
        found[kind] = f"{obj['metadata']['uid']} {obj['metadata'].get('generation')} {obj.get('spec')}"
    return found


@pytest.mark.parametrize("options", commands.MACHINES)
def test_over_ssh_with_a_deploy_key(tmp_path: Path, hub: Hub, options: tuple[str, ...]) -> None:
    _name(hub, options[1])
    home = _home(tmp_path, hub, f"ssh://git@{hub.name}:{hub.ssh_port}/you/home.git")
    with commands.up(home, "--bare", *options):
        # a run that is not given the time says what it waited for, and the next one goes on
        assert "nerv: not done within 0.1 s: waited for " in _bootstrap(home, hub, "--timeout", "0.1", code=1)
        assert "repository you/home is there" in _bootstrap(home, hub)
        _complete(home)
        assert home.status()["offline"] == []
        (key,) = hub.repository("you", "home").keys
        assert key["read_only"] is True
        secret = home.get("secret", "-n", "flux-system", "flux-system")
        assert sorted(secret["data"]) == ["identity", "identity.pub", "known_hosts"]

        hub.calls.clear()
        assert "nothing to do" in _bootstrap(home, hub)
        assert hub.writes == []


def test_a_wrong_host_key_ends_the_wait_with_its_reason(tmp_path: Path, hub: Hub) -> None:
    home = _home(tmp_path, hub, f"ssh://git@localhost:{hub.ssh_port}/you/home.git")
    wrong = tmp_path / "known_hosts"
    wrong.write_text(ssh.known_host("localhost", hub.ssh_port, ssh.generate().public))
    with commands.up(home, "--bare"):
        said = _bootstrap(home, hub, "--known-hosts", str(wrong), code=1)
        assert "GitRepository flux-system/flux-system cannot be fetched: " in said
        assert "knownhosts: key mismatch" in said


def test_a_push_reaches_flux_through_the_webhook(tmp_path: Path, hub: Hub) -> None:
    """Made, pinged, and a push through the published address makes Flux fetch: it looks by itself every hour only."""
    url = f"https://{hub.hostname}/you/home.git"
    home = _home(tmp_path, hub, f"{url}\n    interval: 1h0m0s", "    flux: {webhook: true}\n")
    with commands.up(home, "--bare"):
        _bootstrap(home, hub, "--no-webhook")
        _complete(home)
        repository = hub.repository("you", "home")
        assert repository.hooks == []
        published = json.loads((home.folder / ".nerv" / "published.json").read_text())
        hub.routes["flux-webhook.nerv.local"] = tuple(published["192.168.1.111"]["443"])
        hub.trusted = (home.folder / ".nerv" / "ca.crt").read_text()

        assert "the webhook arrives" in _bootstrap(home, hub)
        (hook,) = repository.hooks
        path = home.get("receiver", "-n", "flux-system", "flux-system")["status"]["webhookPath"]
        assert hook["config"]["url"] == f"https://flux-webhook.nerv.local{path}"
        assert hook["events"] == ["push"]
        hub.calls.clear()
        assert "nothing to do" in _bootstrap(home, hub)
        assert hub.writes == []

        (home.folder / "notes.md").write_text("Something new\n")
        home.commit("One more")
        head = home.git("rev-parse", "main").strip()
        _push(home, hub, url)
        eventually(lambda: _fetched(home) == f"main@sha1:{head}", "what was pushed")
        assert [each["status"] for each in repository.deliveries if each["event"] == "push"] == ["OK"]

        # another token is another path: Flux hears of it by the old one, GitHub by the next run
        home.nerv("secrets", "rotate", "webhook")
        home.commit("Another token")
        _push(home, hub, url)
        said = _bootstrap(home, hub)
        assert "update the webhook" in said
        assert "the webhook arrives" in said
        (moved,) = repository.hooks
        assert not moved["config"]["url"].endswith(path)


def _fetched(home: Home) -> str:
    source = home.get("gitrepository", "-n", "flux-system", "flux-system")
    return str(source["status"]["artifact"]["revision"])


def _push(home: Home, hub: Hub, url: str) -> None:
    access = Access(username="you", password=TOKEN, authorities=hub.ca.certificate)
    with access.prepared(url) as environment:
        process.run_sync(["git", "-C", str(home.folder), "push", "-q", url, "main"], env=environment)


@pytest.mark.parametrize(
    ("engine", "host", "provider"),
    [
        ("embedded", "github.com", "github"),
        pytest.param("upstream", "github.com", "github", marks=commands.NEEDS_UPSTREAM),
        pytest.param("upstream", "203.0.113.7", "generic", marks=commands.NEEDS_UPSTREAM),
    ],
)
def test_an_ssh_url_runs_here_unchanged(tmp_path: Path, engine: str, host: str, provider: str) -> None:
    """Flux's default of a bootstrap: the mirror answers for it over SSH, nothing in the repository is changed. A host
    that is given by its address is never looked up by name."""
    home = Home.at(tmp_path)
    home.folder.mkdir()
    text = SMALL.replace("https://github.com/you/home.git", f"ssh://git@{host}/you/home.git\n    provider: {provider}")
    (home.folder / "nerv.yaml").write_text(text)
    home.nerv("init", str(home.folder))
    head = home.git("rev-parse", "main").strip()
    with commands.up(home, "--engine", engine):
        _complete(home)
        source = home.get("gitrepository", "-n", "flux-system", "flux-system")
        assert source["spec"]["url"] == f"ssh://git@{host}/you/home.git"
        assert source["status"]["artifact"]["revision"] == f"main@sha1:{head}"
    said = home.nerv("up", str(home.folder), "--bare", "--detach", code=1).stderr
    assert "has been started with its repository before (`nerv reset` forgets that cluster)" in said
