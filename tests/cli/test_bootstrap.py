"""`nerv bootstrap github` against a GitHub of our own: real git over TLS and SSH, and every API call kept."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import needs
from tests.support.github import Hosted, Hub, github
from tests.support.platforms import SMALL

from nerv import process
from nerv.builders import ssh
from nerv.cli import boundary
from nerv.deploy.hosting.journal import Journal
from nerv.operations.hosting.preparing import prepare_repository
from nerv.operations.hosting.request import Options

TOKEN = "ghp_a-secret-that-must-never-be-seen"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and templates of this module's platforms."""
    return tmp_path_factory.mktemp("bootstrap")


@pytest.fixture(scope="module")
def running(base: Path) -> Iterator[Hub]:
    with github(base / "hub") as hub:
        yield hub


@pytest.fixture
def hub(running: Hub) -> Hub:
    running.forget()
    running.token(TOKEN, "you", scopes={"repo"})
    return running


@dataclass
class Place:
    """A platform's folder whose definition names the hub, and the command line."""

    hub: Hub
    root: Path
    capture: Capture
    ca_file: Path

    def git(self, *arguments: str) -> str:
        return process.run_sync(["git", "-C", str(self.root), *arguments]).stdout.strip()

    def commit(self, message: str, **files: str) -> None:
        for name, text in files.items():
            (self.root / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message, "--allow-empty")

    def bootstrap(self, *options: str, code: int = 0) -> str:
        """Run it for the repository alone; what it says."""
        arguments = ["-C", str(self.root), "bootstrap", "github", "--repository-only", "--ca-file", str(self.ca_file)]
        assert boundary.run([*arguments, *options]) == code
        out, err = self.capture.readouterr()
        assert TOKEN not in out + err
        assert out == ""
        return str(err)


@pytest.fixture(autouse=True)
def own_home(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and Git settings of this module alone."""
    monkeypatch.setenv("HOME", str(base / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)


def _place(base: Path, tmp_path: Path, hub: Hub, capsys: Capture, url: str) -> Place:
    """A copy of a platform that was made once for this kind of URL."""
    template = base / url.partition(":")[0] / "home"
    if not template.exists():
        template.mkdir(parents=True)
        text = SMALL.replace("https://github.com/you/home.git", f"{url}\n    provider: generic")
        (template / "nerv.yaml").write_text(text)
        assert boundary.run(["init", str(template)]) == 0
        capsys.readouterr()
    root = tmp_path / "home"
    shutil.copytree(template, root)
    ca_file = tmp_path / "hub-ca.crt"
    ca_file.write_text(hub.ca.certificate)
    return Place(hub, root, capsys, ca_file)


@pytest.fixture
def over_https(base: Path, tmp_path: Path, hub: Hub, capsys: Capture) -> Place:
    return _place(base, tmp_path, hub, capsys, f"https://{hub.hostname}/you/home.git")


@pytest.fixture
def over_ssh(base: Path, tmp_path: Path, hub: Hub, capsys: Capture) -> Place:
    return _place(base, tmp_path, hub, capsys, f"ssh://git@localhost:{hub.ssh_port}/you/home.git")


def hosted(place: Place) -> Hosted:
    return place.hub.repository("you", "home")


def test_a_fresh_repository_is_private_and_holds_the_platform(over_https: Place) -> None:
    said = over_https.bootstrap()
    assert "create the private repository you/home" in said
    assert hosted(over_https).private
    assert hosted(over_https).git("rev-parse", "main") == over_https.git("rev-parse", "main")
    assert hosted(over_https).keys == []
    assert over_https.git("remote", "get-url", "origin") == f"https://{over_https.hub.hostname}/you/home.git"
    assert TOKEN not in (over_https.root / ".git" / "config").read_text()


def test_a_second_run_changes_nothing_and_says_so(over_https: Place) -> None:
    over_https.bootstrap()
    head, pushes = over_https.git("rev-parse", "main"), len(over_https.hub.pushes)
    over_https.hub.calls.clear()
    assert "nothing to do: everything was as it should be" in over_https.bootstrap()
    assert over_https.hub.writes == []
    assert over_https.git("rev-parse", "main") == head
    assert len(over_https.hub.pushes) == pushes


def test_the_token_is_in_no_argument(over_https: Place) -> None:
    with arguments_of_all() as seen:
        over_https.bootstrap()
    assert any("git push" in line for line in seen)
    assert not [line for line in seen if TOKEN in line]


@contextmanager
def arguments_of_all() -> Iterator[set[str]]:
    """Command lines of every process that lived meanwhile, as far as a look each few milliseconds finds them."""
    seen: set[str] = set()
    end = threading.Event()

    def look() -> None:
        while not end.wait(0.002):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


def test_no_token_is_in_git_in_clear(over_https: Place) -> None:
    over_https.bootstrap()
    objects = hosted(over_https).git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    texts = [hosted(over_https).git("cat-file", "-p", name) for name in objects]
    assert len(texts) > 50
    assert all(TOKEN not in text for text in texts)


def test_a_dry_run_tells_everything_and_changes_nothing(over_https: Place) -> None:
    head = over_https.git("rev-parse", "main")
    said = over_https.bootstrap("--dry-run")
    assert "would create the private repository you/home" in said
    assert "would push branch main" in said
    assert re.search(r"dry run: \d+ changes, none made", said)
    assert over_https.hub.writes == []
    assert over_https.git("rev-parse", "main") == head
    assert over_https.git("remote") == ""


def test_a_repository_that_is_there_is_adopted_as_it_is(over_https: Place) -> None:
    over_https.hub.create("you", "home", private=False)
    said = over_https.bootstrap()
    assert "repository you/home is there (public)" in said
    assert over_https.hub.writes == []
    assert hosted(over_https).git("rev-parse", "main") == over_https.git("rev-parse", "main")


def test_an_organization_gets_a_public_repository(over_https: Place) -> None:
    said = over_https.bootstrap("--owner", "company", "--repository", "platform", "--public")
    assert ("POST", "/orgs/company/repos") in over_https.hub.writes
    made = over_https.hub.repository("company", "platform")
    assert not made.private
    # the definition names another repository, so Flux's sync is written as Flux writes it
    assert made.log()[0] == "Flux <>|Add Flux sync manifests"
    sync = made.git("show", "main:clusters/home/flux-system/gotk-sync.yaml")
    assert f"url: https://{over_https.hub.hostname}/company/platform.git" in sync
    assert "branch main there is 1 commits ahead" in over_https.bootstrap(
        "--owner", "company", "--repository", "platform", "--public"
    )
    assert said


def test_flux_commits_what_is_missing_as_flux_does(over_https: Place) -> None:
    for name in ("gotk-components.yaml", "gotk-sync.yaml", "kustomization.yaml"):
        over_https.git("rm", "-q", f"clusters/home/flux-system/{name}")
    over_https.commit("Without Flux")
    over_https.bootstrap("--commit-message-appendix", "[ci skip]")
    log = hosted(over_https).log("%an <%ae>|%cn <%ce>|%s|%b")
    assert log[0] == "Flux <>|Flux <>|Add Flux sync manifests|[ci skip]"
    assert log[2] == "Flux <>|Flux <>|Add Flux v2.6.1 component manifests|[ci skip]"


def test_a_deploy_key_is_made_as_flux_titles_it(over_ssh: Place) -> None:
    hub = over_ssh.hub
    options = ("--hostname", hub.hostname)
    over_ssh.bootstrap(*options)
    (key,) = hosted(over_ssh).keys
    assert key["title"] == "flux-system-main-flux-system-./clusters/home"
    assert key["read_only"] is True
    assert key["key"].startswith("ecdsa-sha2-nistp384 ")
    hub.calls.clear()
    assert "nothing to do" in over_ssh.bootstrap(*options)
    assert hub.writes == []
    over_ssh.bootstrap(*options, "--read-write-key")
    assert [key["read_only"] for key in hosted(over_ssh).keys] == [False]


def test_the_deploy_key_is_kept_for_machines(over_ssh: Place) -> None:
    from nerv.operations.folder import PlatformFolder
    from nerv.operations.secrets import git_login

    before = git_login.git_login(PlatformFolder(over_ssh.root))
    over_ssh.bootstrap("--hostname", over_ssh.hub.hostname)
    kept = git_login.git_login(PlatformFolder(over_ssh.root))
    assert kept.complete
    assert kept.data["identity"] == before.data["identity"]
    assert kept.data["identity.pub"].split()[1] == hosted(over_ssh).keys[0]["key"].split()[1]
    assert kept.data["known_hosts"].split()[0] == f"[localhost]:{over_ssh.hub.ssh_port}"
    assert kept.data["known_hosts"].split()[2] == over_ssh.hub.host_key.public.split()[1]
    assert over_ssh.git("status", "--porcelain") == ""


@needs.SSH
async def test_a_key_of_yours_is_kept_for_machines_as_the_cluster_has_it(over_ssh: Place) -> None:
    from nerv.operations.folder import PlatformFolder
    from nerv.operations.secrets import git_login

    found, hub, key = over_ssh.hub.create("you", "home"), over_ssh.hub, ssh.generate()
    found.keys.append({"id": 0, "key": key.public, "read_only": False})
    known_hosts = ssh.known_host("localhost", hub.ssh_port, hub.host_key.public)
    options = Options(private_key=key.private, known_hosts=known_hosts)
    login = await prepare_repository(PlatformFolder(over_ssh.root), "", journal=Journal(), options=options)
    kept = git_login.git_login(PlatformFolder(over_ssh.root))
    assert kept.data == login.data
    assert kept.data["identity"] == key.private
    of_cluster = login.secret()["data"]
    assert {name: base64.b64encode(text.encode()).decode() for name, text in kept.data.items()} == of_cluster
    assert over_ssh.git("status", "--porcelain") == ""
    again = Journal()
    await prepare_repository(PlatformFolder(over_ssh.root), "", journal=again, options=options)
    assert again.changes == []


@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        (set(), "lacks the scope `repo` for a private repository and pushes (it has none)"),
        (
            {"public_repo", "read:org"},
            "lacks the scope `repo` for a private repository and pushes (it has public_repo, ",
        ),
    ],
)
def test_a_missing_scope_is_named_and_nothing_changed(over_https: Place, scopes: set[str], said: str) -> None:
    over_https.hub.token(TOKEN, "you", scopes=scopes)
    assert said in over_https.bootstrap(code=1)
    assert over_https.hub.writes == []


def test_a_fine_grained_token_is_tried(over_ssh: Place) -> None:
    hub = over_ssh.hub
    hub.create("you", "home")
    hub.token(TOKEN, "you", permissions={"metadata", "contents"})
    said = over_ssh.bootstrap("--hostname", hub.hostname, code=1)
    assert "lacks the permission `Administration: write` for the deploy key on you/home" in said
    assert hub.writes == []
    hub.token(TOKEN, "you", permissions={"metadata", "administration"})
    said = over_ssh.bootstrap("--hostname", hub.hostname, code=1)
    assert "a token needs `Contents: write` (fine-grained) or `repo` (classic)" in said
    hub.token(TOKEN, "you", permissions={"metadata", "administration", "contents"})
    over_ssh.bootstrap("--hostname", hub.hostname)
    assert len(hosted(over_ssh).keys) == 1


def test_a_wrong_token_is_one_line(over_https: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_another")
    said = over_https.bootstrap(code=1)
    assert said == (
        "nerv: GitHub does not take the token: Bad credentials (make a new one, or see whether it has ended)\n"
    )


def test_a_protected_branch_is_named_with_the_way_out(over_https: Place) -> None:
    over_https.hub.create("you", "home").protect()
    said = over_https.bootstrap(code=1)
    assert "branch main of https://" in said
    assert "is protected and takes no direct pushes: error: GH006: Protected branch update failed" in said
    assert "by a pull request" in said


def _somebody(place: Place, name: str) -> Callable[[Hosted], None]:
    """Pushes a commit of his own to what is there."""

    def push(found: Hosted) -> None:
        clone = place.root.parent / f"clone-{name}"
        process.run_sync(["git", "clone", "-q", str(found.folder), str(clone)])
        (clone / name).write_text("theirs\n")
        identity = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        for arguments in (("add", "-A"), ("commit", "-q", "-m", f"theirs {name}"), ("push", "-q")):
            process.run_sync(["git", "-C", str(clone), *arguments], env={**os.environ, **identity})

    return push


def test_who_was_faster_is_never_overwritten(over_https: Place) -> None:
    over_https.bootstrap()
    over_https.git("rm", "-q", "clusters/home/flux-system/gotk-sync.yaml")
    over_https.commit("Without sync")
    over_https.git("push", "-q", str(hosted(over_https).folder), "main")
    over_https.hub.before_push = _somebody(over_https, "x")
    over_https.bootstrap()
    assert [line.split("|")[1] for line in hosted(over_https).log()[:3]] == [
        "Add Flux sync manifests",
        "theirs x",
        "Without sync",
    ]


def test_branches_that_have_parted_are_left_alone(over_https: Place) -> None:
    over_https.bootstrap()
    _somebody(over_https, "y")(hosted(over_https))
    assert "branch main there is 1 commits ahead of" in over_https.bootstrap()
    over_https.commit("Mine", mine="mine\n")
    theirs = hosted(over_https).git("rev-parse", "main")
    said = over_https.bootstrap(code=1)
    assert "has 1 commits that" in said
    assert "git pull --rebase https://" in said
    assert hosted(over_https).git("rev-parse", "main") == theirs
    assert over_https.git("for-each-ref", "refs/nerv") == ""


def test_a_run_that_died_is_gone_on_with(over_ssh: Place) -> None:
    """The repository is there and empty, as after a connection that broke."""
    over_ssh.hub.create("you", "home")
    over_ssh.bootstrap("--hostname", over_ssh.hub.hostname)
    assert hosted(over_ssh).git("rev-parse", "main") == over_ssh.git("rev-parse", "main")
    assert len(hosted(over_ssh).keys) == 1


def test_without_a_cluster_the_way_out_is_named(over_https: Place) -> None:
    assert boundary.run(["-C", str(over_https.root), "bootstrap", "github"]) == 1
    said = over_https.capture.readouterr().err
    assert "does not run here and was not deployed" in said
    assert "--repository-only" in said


def test_the_token_comes_over_standard_input(over_https: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TOKEN}\n"))
    over_https.bootstrap()
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "set GITHUB_TOKEN, or write it to standard input" in over_https.bootstrap(code=1)
