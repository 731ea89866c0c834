"""Who can open what, asked of the real sops: each reader what is his, and nobody else anything."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest
from tests.support import secrets
from tests.support.secrets import FILES, LOGIN

from nerv import documents
from nerv.errors import NervError
from nerv.operations import keys, rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import checking, contents, readers, recipients
from nerv.operations.secrets.git_login import git_login, set_git_login
from nerv.operations.secrets.rotation import What, rotate
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE


def openers(folder: PlatformFolder, named: dict[str, str]) -> dict[str, set[str]]:
    """By file, who of `named` opens it."""
    return {
        path: {name for name, key in named.items() if secrets.opens(folder.root, path, key) is not None}
        for path in FILES
    }


def everybody(more: dict[str, str] | None = None) -> dict[str, str]:
    return {
        "operator": secrets.operator(),
        "flux": secrets.flux(),
        "nerv-1": secrets.host("nerv-1"),
        "worker-1": secrets.host("worker-1"),
        "stranger": str(pyrage.x25519.Identity.generate()),
        **(more or {}),
    }


async def test_each_reader_opens_what_is_his_and_nothing_else(folder: PlatformFolder) -> None:
    assert openers(folder, everybody()) == {
        LOGIN: {"operator", "flux"},
        SERVERS_FILE: {"operator", "nerv-1"},
        AGENTS_FILE: {"operator", "worker-1"},
    }
    assert rendering.check(folder) == []
    assert checking.check(folder).problems == ()


async def test_machines_are_given_what_they_start_with(folder: PlatformFolder) -> None:
    servers, agents = secrets.clear(folder.root, SERVERS_FILE), secrets.clear(folder.root, AGENTS_FILE)
    assert list(servers) == ["k3s-token", "k3s-agent-token", "flux-sops-age", "flux-git-login"]
    assert agents == {"k3s-agent-token": servers["k3s-agent-token"]}
    assert servers["k3s-token"] != servers["k3s-agent-token"]
    age = documents.load(servers["flux-sops-age"])
    assert age["metadata"] == {"name": "sops-age", "namespace": "flux-system"}
    assert secrets.flux() in age["stringData"]["age.agekey"]
    login = documents.load(servers["flux-git-login"])
    assert login["metadata"] == {"name": "flux-system", "namespace": "flux-system"}
    assert login["stringData"]["identity.pub"].startswith("ecdsa-sha2-nistp384 ")
    assert login["stringData"]["known_hosts"] == ""


async def test_a_new_node_is_one_reader_more_of_its_role_alone(folder: PlatformFolder) -> None:
    before = {path: (folder.root / path).read_text() for path in FILES}
    text = folder.definition.read_text()
    folder.definition.write_text(
        text.replace("  network:", "    - {name: worker-2, role: agent, address: 192.168.1.12}\n  network:", 1)
    )
    done = await rendering.render(folder)
    assert done.encrypted == (AGENTS_FILE,)
    assert openers(folder, everybody({"worker-2": secrets.host("worker-2")}))[AGENTS_FILE] == {
        "operator",
        "worker-1",
        "worker-2",
    }
    assert {path: (folder.root / path).read_text() == text for path, text in before.items()} == {
        LOGIN: True,
        SERVERS_FILE: True,
        AGENTS_FILE: False,
    }
    # the value itself was not encrypted again: a review sees that only readers changed
    lines = [documents.load(text)["k3s-agent-token"] for text in (before[AGENTS_FILE], _text(folder, AGENTS_FILE))]
    assert lines[0] == lines[1]


async def test_a_node_that_goes_reads_nothing_later(folder: PlatformFolder) -> None:
    gone = secrets.host("worker-1")
    old = _text(folder, AGENTS_FILE)
    text = folder.definition.read_text()
    folder.definition.write_text(text.replace("name: worker-1", "name: worker-2"))
    await rendering.render(folder)
    assert secrets.opens(folder.root, AGENTS_FILE, gone) is None
    # under another data key, so that the old one opens nothing new
    new = _text(folder, AGENTS_FILE)
    assert documents.load(old)["k3s-agent-token"] != documents.load(new)["k3s-agent-token"]
    assert not (folder.root / "nixos/keys/worker-1.pub").exists()
    assert rendering.differences(folder) == []


async def test_people_come_and_go(folder: PlatformFolder) -> None:
    ada = pyrage.x25519.Identity.generate()
    text = folder.definition.read_text()
    written = await recipients.add(folder, str(ada.to_public()), "Ada")
    assert {*FILES, ".sops.yaml", "nerv.yaml"} <= set(written)
    assert all("ada" in names for names in openers(folder, everybody({"ada": str(ada)})).values())
    found = readers.matrix(folder)
    assert [(reader.kind, reader.name) for reader in found.readers] == [
        ("operator", ""),
        ("flux", ""),
        ("person", "Ada"),
        ("host", "nerv-1"),
        ("host", "worker-1"),
    ]
    assert found.files[LOGIN][str(ada.to_public())] == "yes"
    with pytest.raises(NervError, match="can read already"):
        await recipients.add(folder, str(ada.to_public()))
    await recipients.remove(folder, "Ada")
    assert not any("ada" in names for names in openers(folder, everybody({"ada": str(ada)})).values())
    assert folder.definition.read_text().split() == text.split()
    assert rendering.differences(folder) == []
    with pytest.raises(NervError, match="is not in"):
        await recipients.remove(folder, "Ada")


async def test_somebody_with_a_key_of_his_own_can_write_too(
    folder: PlatformFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another person's checkout: no operator's folder, but an age key where sops looks for it."""
    ada, bob = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    await recipients.add(folder, str(ada.to_public()))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "ada"))
    key = tmp_path / "ada.agekey"
    key.write_text(f"{ada}\n")
    with pytest.raises(NervError, match="no key here can read it"):
        await recipients.add(folder, str(bob.to_public()))
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(key))
    # what is no age key of NERV's kind is left to sops
    (tmp_path / "ada/sops/age").mkdir(parents=True)
    (tmp_path / "ada/sops/age/keys.txt").write_text("AGE-PLUGIN-YUBIKEY-1QQQQ\n")
    await recipients.add(folder, str(bob.to_public()))
    assert all(secrets.opens(folder.root, path, str(bob)) for path in FILES)
    # the hosts' keys are those of the repository, although their private halves are elsewhere
    assert rendering.differences(folder) == []


async def test_keys_that_were_replaced_elsewhere_do_not_come_back(folder: PlatformFolder) -> None:
    """The same person at another machine, whose folder is of yesterday, and who has a key of his own as well."""
    ada = pyrage.x25519.Identity.generate()
    await recipients.add(folder, str(ada.to_public()))
    stale = keys.folder_for("home") / keys.OPERATOR
    yesterday = stale.read_text()
    await rotate(folder, What.operator)
    stale.write_text(f"{yesterday}")
    before = {path: _text(folder, path) for path in FILES}
    with pytest.raises(NervError, match=r"is not the key that \.sops\.yaml names"):
        await rendering.render(folder)
    with pytest.raises(NervError, match="is not the key that"):
        await rotate(folder, What.data_keys)
    assert {path: _text(folder, path) for path in FILES} == before


async def test_a_wrong_recipient_changes_nothing(folder: PlatformFolder) -> None:
    before = folder.definition.read_text()
    with pytest.raises(NervError, match="age1notakey is not an age public key"):
        await recipients.add(folder, "age1notakey")
    assert folder.definition.read_text() == before
    assert rendering.differences(folder) == []


async def test_the_users_own_files_follow(folder: PlatformFolder) -> None:
    own = "secrets/wifi.sops.yaml"
    (folder.root / own).write_text(_text(folder, LOGIN))
    ada = pyrage.x25519.Identity.generate()
    assert own in await recipients.add(folder, str(ada.to_public()))
    assert secrets.opens(folder.root, own, str(ada)) is not None


async def test_where_the_rules_are_the_users_own_his_files_are_left_alone(folder: PlatformFolder) -> None:
    own = "secrets/wifi.sops.yaml"
    text = _text(folder, LOGIN)
    (folder.root / own).write_text(text)
    rendering.eject(folder, ".sops.yaml")
    ada = pyrage.x25519.Identity.generate()
    assert own not in await recipients.add(folder, str(ada.to_public()))
    assert (folder.root / own).read_text() == text


async def test_the_folder_nerv_is_called_in_has_no_say(
    folder: PlatformFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sops looks for rules upwards from where it runs, and for readers in the environment."""
    stranger = str(pyrage.x25519.Identity.generate().to_public())
    (tmp_path / ".sops.yaml").write_text(f"creation_rules:\n- path_regex: never\n  age: {stranger}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOPS_AGE_RECIPIENTS", stranger)
    (folder.root / LOGIN).unlink()
    await rendering.render(folder)
    assert stranger not in _text(folder, LOGIN)


async def test_the_login_to_the_repository_is_completed_when_its_host_is_known(folder: PlatformFolder) -> None:
    before = git_login(folder)
    assert before.deploy_key is not None
    assert not before.complete
    after = await set_git_login(folder, {"known_hosts": "github.com ssh-ed25519 AAAA\n"})
    assert after.complete
    assert git_login(folder) == after
    assert after.data["identity"] == before.data["identity"]
    assert after.secret()["stringData"] == dict(after.data)
    again = await set_git_login(folder, new_key=True)
    assert again.data["known_hosts"] == after.data["known_hosts"]
    assert again.deploy_key != after.deploy_key
    with pytest.raises(NervError, match="is no token"):
        await set_git_login(folder, {"password": "x"})
    assert "identity" not in repr(again) + str(again)


async def test_a_login_of_the_other_kind_is_made_anew(folder: PlatformFolder) -> None:
    text = folder.definition.read_text()
    folder.definition.write_text(text.replace("ssh://git@github.com/", "https://github.com/"))
    await rendering.render(folder)
    assert [p.file for p in checking.check(folder).problems] == [SERVERS_FILE]
    login = await set_git_login(folder, {"password": "token-of-the-host"})
    assert dict(login.data) == {"username": "git", "password": "token-of-the-host"}
    assert checking.check(folder).problems == ()
    assert documents.load(secrets.clear(folder.root, SERVERS_FILE)[contents.FLUX_LOGIN])["stringData"] == login.data
    assert list(secrets.clear(folder.root, SERVERS_FILE))[:2] == ["k3s-token", "k3s-agent-token"]


async def test_lost_and_stray_readers_are_shown(folder: PlatformFolder) -> None:
    servers = _text(folder, SERVERS_FILE)
    (folder.root / AGENTS_FILE).write_text(servers)
    found = readers.matrix(folder)
    recipients_of = {reader.name or reader.kind: reader.recipient for reader in found.readers}
    assert found.files[AGENTS_FILE] == {
        recipients_of["operator"]: "yes",
        recipients_of["flux"]: "no",
        recipients_of["nerv-1"]: "unexpected",
        recipients_of["worker-1"]: "missing",
    }


def _text(folder: PlatformFolder, path: str) -> str:
    return (folder.root / path).read_text()


async def test_without_any_key_it_is_said_which_file_is_closed(folder: PlatformFolder) -> None:
    (keys.folder_for("home") / keys.OPERATOR).unlink()
    (keys.folder_for("home") / keys.FLUX).unlink()
    problems = checking.check(folder).problems
    assert {problem.file for problem in problems if "no key here can read it" in problem.message} >= set(FILES)
