"""`nerv bootstrap git` and the parts of a bootstrap, against a real Git server over TLS and SSH."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import needs
from tests.support.github import Hub, github
from tests.support.platforms import SMALL

from nerv import process
from nerv.builders import ssh
from nerv.cli import boundary
from nerv.deploy.hosting.journal import Journal
from nerv.deploy.hosting.permissions import Wishes, missing_scopes
from nerv.errors import NervError
from nerv.operations.folder import PlatformFolder
from nerv.operations.hosting import login as logins
from nerv.operations.hosting import request as requests
from nerv.operations.hosting import steps
from nerv.operations.hosting.preparing import prepare_repository
from nerv.operations.hosting.request import Options
from nerv.operations.hosting.steps import Desk

PASSWORD = "a-password-that-must-never-be-seen"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hosting")


@pytest.fixture(scope="module")
def running(base: Path) -> Iterator[Hub]:
    with github(base / "hub") as hub:
        yield hub


@pytest.fixture
def hub(running: Hub, base: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HOME", str(base / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_PASSWORD", PASSWORD)
    running.forget()
    running.token(PASSWORD, "you", scopes={"repo"})
    return running


@pytest.fixture(scope="module")
def home(base: Path) -> PlatformFolder:
    """A platform that was rendered once; tests push it as it is."""
    root = base / "home"
    root.mkdir()
    (root / "nerv.yaml").write_text(SMALL.replace("home.git", "home.git\n    provider: generic", 1))
    environment = {"HOME": str(base / "user"), "XDG_CONFIG_HOME": str(base / "config"), "GIT_CONFIG_NOSYSTEM": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        text = (root / "nerv.yaml").read_text()
        (root / "nerv.yaml").write_text(text.replace("https://github.com/", "https://git.example.test/"))
        assert boundary.run(["init", str(root)]) == 0
    return PlatformFolder(root)


def bootstrap(capsys: pytest.CaptureFixture[str], home: PlatformFolder, *options: str, code: int = 0) -> str:
    """Through the command line, for the repository alone; what it says."""
    assert boundary.run(["-C", str(home.root), "bootstrap", "git", "--repository-only", *options]) == code
    out, err = capsys.readouterr()
    assert PASSWORD not in out + err
    return str(err)


def head(folder: Path) -> str:
    return process.run_sync(["git", "-C", str(folder), "rev-parse", "main"]).stdout


def authority(hub: Hub, folder: Path) -> str:
    path = folder / "hub.crt"
    path.write_text(hub.ca.certificate)
    return str(path)


def test_any_server_over_https(
    hub: Hub, home: PlatformFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"https://{hub.hostname}/you/home.git"
    options = ("--url", url, "--ca-file", authority(hub, tmp_path))
    assert "cannot be read: repository not found (create the repository first, empty; " in bootstrap(
        capsys, home, *options, code=1
    )
    found = hub.create("you", "home")
    bootstrap(capsys, home, *options)
    assert found.log()[0] == "Flux <>|Add Flux sync manifests"
    assert f"url: {url}" in found.git("show", "main:clusters/home/flux-system/gotk-sync.yaml")
    assert "nothing to do" in bootstrap(capsys, home, *options)
    assert hub.calls == []


def test_what_is_wrong_at_a_server_is_one_line(
    hub: Hub,
    home: PlatformFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.create("you", "home")
    url = f"https://{hub.hostname}/you/home.git"
    assert "certificate" in bootstrap(capsys, home, "--url", url, code=1)
    monkeypatch.setenv("GIT_PASSWORD", "another")
    said = bootstrap(capsys, home, "--url", url, "--ca-file", authority(hub, tmp_path), code=1)
    assert "cannot be read: authentication required" in said


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(ssh.generate().private)
    return path


@needs.SSH
def test_any_server_over_ssh_with_a_key_of_yours(
    hub: Hub, home: PlatformFolder, tmp_path: Path, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = hub.create("you", "home")
    found.keys.append({"id": 0, "key": ssh.identity(key_file.read_text()).public, "read_only": False})
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(ssh.known_host("localhost", hub.ssh_port, hub.host_key.public))
    url = f"ssh://git@localhost:{hub.ssh_port}/you/home.git"
    options = ("--url", url, "--private-key-file", str(key_file), "--known-hosts", str(known_hosts))
    bootstrap(capsys, home, *options)
    assert found.log()[0] == "Flux <>|Add Flux sync manifests"
    assert "nothing to do" in bootstrap(capsys, home, *options)
    found.keys[0]["read_only"] = True
    process.run_sync(["git", "-C", str(found.folder), "update-ref", "-d", "refs/heads/main"])
    assert "is not allowed" in bootstrap(capsys, home, *options, code=1)
    known_hosts.write_text(ssh.known_host("localhost", hub.ssh_port, ssh.generate().public))
    assert "knownhosts: key mismatch" in bootstrap(capsys, home, *options, code=1)


@needs.SSH
def test_a_host_key_that_nobody_confirms_is_refused_with_its_fingerprint(
    hub: Hub, home: PlatformFolder, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.create("you", "home")
    url = f"ssh://git@localhost:{hub.ssh_port}/you/home.git"
    said = bootstrap(capsys, home, "--url", url, "--private-key-file", str(key_file), code=1)
    assert "localhost:" in said
    assert "the host key of localhost is not confirmed: SHA256:" in said
    assert "--known-hosts FILE" in said
    assert hub.pushes == []


async def test_a_host_key_is_shown_and_kept_once_confirmed(hub: Hub, home: PlatformFolder) -> None:
    url = f"ssh://git@localhost:{hub.ssh_port}/you/home.git"
    request = requests.for_server(home, Options(url=url))
    made = logins.with_key(request, {}, {})
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return True

    found = await steps.known_hosts(Desk(Journal(), confirm, None), url, made)
    assert found.data["known_hosts"] == ssh.known_host("localhost", hub.ssh_port, hub.host_key.public)
    assert asked[0].startswith("Is SHA256:")
    unreachable = "ssh://git@localhost:1/you/home.git"
    with pytest.raises(NervError, match="localhost:1 does not answer by SSH"):
        await steps.known_hosts(Desk(Journal(), confirm, None), unreachable, made)


def test_keys_that_are_there_are_kept(hub: Hub, home: PlatformFolder) -> None:
    request = requests.for_server(home, Options(url="ssh://git@git.example.test/you/home.git"))
    one, two = ssh.generate(), ssh.generate()
    there = {"identity": one.private, "identity.pub": one.public, "known_hosts": "a"}
    stored = {"identity": two.private, "identity.pub": two.public, "known_hosts": ""}
    kept = logins.with_key(request, there, stored)
    assert (kept.public_key, kept.present) == (one.public, True)
    assert logins.with_key(request, {}, stored).public_key == two.public
    other_host = replace(request, options=replace(request.options, known_hosts="b"))
    changed = logins.with_key(other_host, there, stored)
    assert (changed.public_key, changed.data["known_hosts"], changed.present) == (one.public, "b", False)
    assert one.private not in repr(kept)


async def test_deploy_prepares_the_repository_alone(hub: Hub, home: PlatformFolder) -> None:
    found = hub.create("you", "home")
    journal = Journal()
    options = Options(url=f"https://{hub.hostname}/you/home.git", authorities=hub.ca.certificate)
    login = await prepare_repository(home, PASSWORD, journal=journal, options=options)
    assert login.data["password"] == PASSWORD
    assert journal.changes
    assert found.log()[0] == "Flux <>|Add Flux sync manifests"


@pytest.mark.parametrize(
    ("granted", "private", "wishes", "missing"),
    [
        ({"repo"}, True, Wishes("o", "n", webhook=True), []),
        ({"public_repo"}, True, Wishes("o", "n"), ["`repo` for a private repository and pushes"]),
        ({"public_repo"}, False, Wishes("o", "n"), []),
        (
            {"public_repo"},
            False,
            Wishes("o", "n", webhook=True),
            ["`admin:repo_hook` for the webhook that tells Flux of pushes"],
        ),
        ({"repo"}, True, Wishes("o", "n", workflows=True), ["`workflow` for the files in .github/workflows"]),
        (
            set(),
            False,
            Wishes("o", "n", webhook=True),
            [
                "`public_repo` for a public repository and pushes",
                "`admin:repo_hook` for the webhook that tells Flux of pushes",
            ],
        ),
    ],
)
def test_scopes_and_what_they_are_for(granted: set[str], private: bool, wishes: Wishes, missing: list[str]) -> None:
    assert missing_scopes(granted, wishes, private=private) == missing
