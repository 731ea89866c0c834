"""`nerv init`, `nerv render`, `nerv eject` on real folders, with the real git and sops."""

from __future__ import annotations

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import bcrypt
import pyrage
import pytest
from tests.support import platforms, trees

from nerv import documents
from nerv.errors import NervError, ProblemsError
from nerv.operations import host_keys, keys, rendering, scaffold, sops
from nerv.operations.folder import PlatformFolder

LOGIN = "secrets/traefik-system-dashboard-login.sops.yaml"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and Git settings of this test alone."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout


async def made(tmp_path: Path, name: str = "home") -> PlatformFolder:
    return await scaffold.create(tmp_path / name)


def decrypted(folder: PlatformFolder, path: str, key: Path) -> str:
    done = subprocess.run(
        [sops.program(), "decrypt", str(folder.root / path)],
        env={"SOPS_AGE_KEY_FILE": str(key), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


NO_KEY = "undeployable"
"""The one finding about a new platform: nobody's SSH key is in it yet."""


def found(folder: PlatformFolder) -> list[str]:
    """How grave each finding of `nerv check` is."""
    return [finding.severity for finding in rendering.check(folder)]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_new_platform_is_complete_and_committed(tmp_path: Path) -> None:
    told: list[str] = []
    folder = await scaffold.create(tmp_path / "home", say=told.append)
    assert git(folder.root, "status", "--porcelain") == ""
    assert git(folder.root, "rev-list", "--count", "HEAD").strip() == "1"
    assert git(folder.root, "branch", "--show-current").strip() == "main"
    assert rendering.differences(folder) == []
    assert found(folder) == [NO_KEY]
    assert ".nerv/" in (folder.root / ".gitignore").read_text().splitlines()
    assert any("Git knows no identity" in line for line in told)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".home")] == []


async def test_a_platform_that_nobody_could_log_in_to_is_not_to_be_deployed(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    with pytest.raises(ProblemsError) as caught:
        rendering.require_deployable(folder)
    assert [problem.severity for problem in caught.value.problems] == [NO_KEY]
    text = folder.definition.read_text()
    folder.definition.write_text(text.replace("sshKeys: []", f"sshKeys: [{trees.KEY}]"))
    await rendering.render(folder)
    rendering.require_deployable(folder)


async def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    before = git(folder.root, "rev-parse", "HEAD")
    told: list[str] = []
    await scaffold.create(folder.root, say=told.append)
    assert (told, git(folder.root, "rev-parse", "HEAD"), git(folder.root, "status", "--porcelain")) == ([], before, "")


async def test_a_definition_alone_is_completed_and_kept(tmp_path: Path) -> None:
    root = tmp_path / "lab"
    root.mkdir()
    text = (platforms.EXAMPLES / "many-nodes" / "nerv.yaml").read_text()
    (root / "nerv.yaml").write_text(text)
    folder = await scaffold.create(root)
    assert (root / "nerv.yaml").read_text() == text
    assert (root / "clusters/many-nodes/apps.yaml").exists()
    assert found(folder) == [NO_KEY]


async def test_the_git_identity_of_the_user_is_used(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/.gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    folder = await made(tmp_path)
    assert git(folder.root, "log", "-1", "--format=%an <%ae>").strip() == "Ada <ada@example.org>"


async def test_names_come_from_the_folder(tmp_path: Path) -> None:
    folder = await made(tmp_path, "My Lab_2")
    assert documents.load(folder.definition.read_text())["metadata"]["name"] == "my-lab-2"
    with pytest.raises(NervError, match="no platform can be named"):
        await made(tmp_path, "___")


async def test_a_broken_definition_leaves_nothing_half_written(tmp_path: Path) -> None:
    root = tmp_path / "home"
    root.mkdir()
    (root / "nerv.yaml").write_text(platforms.SMALL.replace("192.168.1.10", "192.168.1.1"))
    with pytest.raises(ProblemsError):
        await scaffold.create(root)
    assert [path.name for path in root.iterdir()] == ["nerv.yaml"]
    assert not (tmp_path / "config").exists()


async def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(NervError, match="is not a folder"):
        await made(tmp_path)
    with pytest.raises(NervError, match="cannot be written"):
        await scaffold.create(tmp_path / "home" / "below")


async def test_without_git_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NervError, match="Git is not installed"):
        await made(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_keys_and_password_stay_with_the_operator(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    home = tmp_path / "config/nerv/home"
    assert keys.folder_of(folder.root) == home
    assert {path.relative_to(home).as_posix(): mode(path) for path in home.rglob("*") if path.is_file()} == {
        "operator.agekey": 0o600,
        "flux.agekey": 0o600,
        "credentials": 0o600,
        "hosts/nerv-1/ssh_host_ed25519_key": 0o600,
    }
    assert mode(home) == 0o700
    login = keys.credentials("home")
    private = [(home / name).read_text().splitlines()[-1] for name in ("operator.agekey", "flux.agekey")]
    private += host_keys.file_of("home", "nerv-1").read_text().splitlines()[1:-1]
    committed = "".join(
        path.read_text(errors="replace")
        for path in folder.root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    )
    assert not [secret for secret in (*private, login.password) if secret in committed]


@pytest.mark.parametrize("key", ["operator.agekey", "flux.agekey"])
async def test_operator_and_flux_can_read_the_logins(tmp_path: Path, key: str) -> None:
    folder = await made(tmp_path)
    text = decrypted(folder, LOGIN, tmp_path / "config/nerv/home" / key)
    line = documents.load(text)["stringData"]["users"]
    user, _, hashed = line.strip().partition(":")
    login = keys.credentials("home")
    assert user == login.user == "admin"
    assert bcrypt.checkpw(login.password.encode(), hashed.encode())


async def test_the_cluster_is_given_fluxs_key_alone(tmp_path: Path) -> None:
    await made(tmp_path)
    age, _ = keys.cluster_secrets("home", {})
    text = base64.b64decode(age["data"]["age.agekey"]).decode()
    known = keys.require("home")
    identity = pyrage.x25519.Identity.from_str(text.splitlines()[-1])
    assert str(identity.to_public()) == known.flux != known.operator
    assert age["metadata"] == {"name": "sops-age", "namespace": "flux-system"}


async def test_encrypted_files_are_kept_until_their_recipients_change(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    before = (folder.root / LOGIN).read_text()
    assert (await rendering.render(folder)).unchanged
    assert (folder.root / LOGIN).read_text() == before
    extra = str(pyrage.x25519.Identity.generate().to_public())
    definition = folder.definition.read_text()
    folder.definition.write_text(definition.replace("recipients: []  ", f"recipients: [{extra}]  "))
    assert f"{LOGIN}: would be encrypted for other recipients" in rendering.differences(folder)
    done = await rendering.render(folder)
    assert LOGIN in done.encrypted
    assert extra in sops.recipients_in((folder.root / LOGIN).read_text(), LOGIN)
    assert rendering.differences(folder) == []
    # the password is the same one
    assert "users" in decrypted(folder, LOGIN, keys.require("home").operator_file)


async def test_lost_keys_are_said_before_anything_is_written(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    shutil.rmtree(tmp_path / "config/nerv/home")
    assert rendering.differences(folder) == []  # the repository itself is right: others may hold the keys
    (folder.root / LOGIN).unlink()
    extra = str(pyrage.x25519.Identity.generate().to_public())
    folder.definition.write_text(folder.definition.read_text().replace("recipients: []  ", f"recipients: [{extra}]  "))
    with pytest.raises(NervError, match="no key here can read it"):
        await rendering.render(folder)
    assert not (folder.root / LOGIN).exists()
    with pytest.raises(NervError, match="are not in"):
        keys.cluster_secrets("home", {})


async def test_hand_edits_are_refused_and_ejected_files_left_alone(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    path = "apps/metallb/release.yaml"
    edited = (folder.root / path).read_text().replace("10m", "20m")
    (folder.root / path).write_text(edited)
    with pytest.raises(ProblemsError) as raised:
        await rendering.render(folder)
    assert [problem.file for problem in raised.value.problems] == [path]
    assert [line.partition(":")[0] for line in rendering.differences(folder)] == [path]
    assert rendering.eject(folder, path) is True
    assert rendering.eject(folder, path) is False
    assert (await rendering.render(folder)).unchanged is True
    assert (folder.root / path).read_text() == edited
    assert rendering.adopt(folder, path) is True
    assert (await rendering.render(folder)).written == (path,)
    assert (folder.root / path).read_text() != edited


async def test_force_discards_an_edit(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    (folder.root / "README.md").write_text("mine\n")
    assert (await rendering.render(folder, force=True)).written == ("README.md",)


async def test_only_generated_files_can_be_ejected(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    with pytest.raises(NervError, match="not a file that NERV generates"):
        rendering.eject(folder, "nerv.yaml")


async def test_switching_a_component_off_takes_its_files_away(tmp_path: Path) -> None:
    folder = await made(tmp_path)
    folder.definition.write_text(
        folder.definition.read_text().replace("      replicas: 1", "      replicas: 1\n      enabled: false")
    )
    done = await rendering.render(folder)
    assert "secrets/longhorn-system-dashboard-login.sops.yaml" in done.removed
    assert not (folder.root / "apps/longhorn").exists()
    assert rendering.differences(folder) == []
    assert found(folder) == [NO_KEY]
