"""Rotations, with the real sops: what opens before and after, what is said to be next, and nothing half-done."""

from __future__ import annotations

import bcrypt
import pytest
from tests.support import secrets
from tests.support.secrets import FILES, LOGIN

from nerv import documents
from nerv.builders import sops as opening
from nerv.errors import NervError, ProblemsError
from nerv.operations import keys, rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import checking, files, private_keys
from nerv.operations.secrets.git_login import git_login
from nerv.operations.secrets.rotation import What, rotate
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE


def texts(folder: PlatformFolder) -> dict[str, str]:
    return {path: (folder.root / path).read_text() for path in FILES}


def state(folder: PlatformFolder) -> dict[str, str]:
    """Every file of the repository and of the operator's folder."""
    everything = [*secrets.files_below(folder.root), *secrets.files_below(keys.folder_for("home"))]
    return {str(path): text for path, text in everything}


def clean(folder: PlatformFolder) -> None:
    """Everything fits together again, and nothing is left of what was in between."""
    assert rendering.differences(folder) == []
    assert rendering.check(folder) == []
    assert checking.check(folder).problems == ()
    assert [path for path, _ in secrets.files_below(keys.folder_for("home")) if path.suffix == ".next"] == []


async def test_data_keys(folder: PlatformFolder) -> None:
    before, clear = texts(folder), [secrets.clear(folder.root, path) for path in FILES]
    done = await rotate(folder, What.data_keys)
    assert set(FILES) <= set(done.written)
    assert [secrets.clear(folder.root, path) for path in FILES] == clear
    own = private_keys.of_user("home")
    for path, text in texts(folder).items():
        assert _data_key(text, own) != _data_key(before[path], own)
    clean(folder)


async def test_nothing_opens_with_the_operators_old_key(folder: PlatformFolder) -> None:
    old, clear = secrets.operator(), [secrets.clear(folder.root, path) for path in FILES]
    before = texts(folder)
    done = await rotate(folder, What.operator)
    assert secrets.operator() != old
    assert [secrets.opens(folder.root, path, old) for path in FILES] == [None, None, None]
    assert [secrets.clear(folder.root, path) for path in FILES] == clear
    # neither the key nor the data keys it opened are of use any more
    for path, text in texts(folder).items():
        former = private_keys.of_text(old)
        stale = opening.data_key(documents.load(before[path])["sops"], _identities(former))
        assert _data_key(text, private_keys.of_user("home")) != stale
    assert files.mentioning(folder.root, private_keys.of_text(old).recipients[0]) == []
    assert old not in str(state(folder))
    assert done.private == (keys.folder_for("home") / keys.OPERATOR,)
    assert "back up" in done.next[1]
    clean(folder)


async def test_the_old_key_is_kept_when_that_is_asked_for(folder: PlatformFolder) -> None:
    old = secrets.operator()
    await rotate(folder, What.operator, keep=True)
    recipient = private_keys.of_text(old).recipients[0]
    kept = keys.folder_for("home") / "retired" / f"{recipient}.operator.agekey"
    assert old in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    # it is not among the keys that are used
    assert recipient not in private_keys.of_user("home").recipients
    clean(folder)


async def test_files_outside_the_rules_are_encrypted_for_the_new_operator_too(folder: PlatformFolder) -> None:
    old = secrets.operator()
    (folder.root / "docs").mkdir()
    (folder.root / "docs/notes.sops.yaml").write_text((folder.root / AGENTS_FILE).read_text())
    done = await rotate(folder, What.operator)
    assert "docs/notes.sops.yaml" in done.written
    assert secrets.opens(folder.root, "docs/notes.sops.yaml", old) is None
    assert secrets.opens(folder.root, "docs/notes.sops.yaml", secrets.host("worker-1")) is not None
    clean(folder)


async def test_the_operators_key_among_people_is_refused(folder: PlatformFolder) -> None:
    known = keys.require("home").operator
    text = folder.definition.read_text()
    folder.definition.write_text(text.replace("recipients: []", f"recipients: [{known}]"))
    await rendering.render(folder)
    before = state(folder)
    with pytest.raises(NervError, match="names the operator's own key"):
        await rotate(folder, What.operator)
    assert state(folder) == before


async def test_flux(folder: PlatformFolder) -> None:
    old = secrets.flux()
    done = await rotate(folder, What.flux)
    assert secrets.flux() != old
    assert secrets.opens(folder.root, LOGIN, old) is None
    assert secrets.opens(folder.root, LOGIN, secrets.flux()) is not None
    manifest = documents.load(secrets.clear(folder.root, SERVERS_FILE)["flux-sops-age"])
    assert secrets.flux() in manifest["stringData"]["age.agekey"]
    assert old not in str(state(folder))
    assert AGENTS_FILE not in done.written
    assert "nerv deploy --update nerv-1" in done.next[1]
    clean(folder)


async def test_a_hosts_key(folder: PlatformFolder) -> None:
    old, other = secrets.host("nerv-1"), (folder.root / AGENTS_FILE).read_text()
    done = await rotate(folder, What.host, node="nerv-1")
    new = secrets.host("nerv-1")
    assert secrets.opens(folder.root, SERVERS_FILE, old) is None
    assert secrets.opens(folder.root, SERVERS_FILE, new) is not None
    assert (folder.root / AGENTS_FILE).read_text() == other
    public = (folder.root / "nixos/keys/nerv-1.pub").read_text()
    assert opening.ssh.recipient(public) == private_keys.of_text(new).recipients[0]
    assert "install -m 600 /dev/stdin /etc/ssh/ssh_host_ed25519_key" in done.next[1]
    clean(folder)
    with pytest.raises(NervError, match="there is no node 'x'"):
        await rotate(folder, What.host, node="x")


async def test_tokens_of_k3s(folder: PlatformFolder) -> None:
    before = secrets.clear(folder.root, SERVERS_FILE)
    done = await rotate(folder, What.k3s_token)
    between = secrets.clear(folder.root, SERVERS_FILE)
    assert [key for key in before if before[key] != between[key]] == ["k3s-token"]
    assert "k3s token rotate" in done.next[1]
    assert "process list shows it" in done.next[1]
    done = await rotate(folder, What.k3s_agent_token)
    after = secrets.clear(folder.root, SERVERS_FILE)
    assert [key for key in before if between[key] != after[key]] == ["k3s-agent-token"]
    assert secrets.clear(folder.root, AGENTS_FILE) == {"k3s-agent-token": after["k3s-agent-token"]}
    assert [step for step in done.next if "nerv-1" in step or "worker-1" in step] == list(done.next[1:])
    clean(folder)


async def test_the_dashboards_password(folder: PlatformFolder) -> None:
    old = keys.credentials("home").password
    await rotate(folder, What.dashboards)
    new = keys.credentials("home").password
    hashed = secrets.clear(folder.root, LOGIN)["stringData"]["users"].strip().partition(":")[2].encode()
    assert bcrypt.checkpw(new.encode(), hashed)
    assert not bcrypt.checkpw(old.encode(), hashed)
    clean(folder)


async def test_the_webhooks_token(folder: PlatformFolder) -> None:
    with pytest.raises(NervError, match="the platform has no webhook"):
        await rotate(folder, What.webhook)
    text = folder.definition.read_text()
    folder.definition.write_text(text.replace("  components:\n", "  components:\n    flux: {webhook: true}\n"))
    await rendering.render(folder)
    path = "secrets/flux-system-webhook-token.sops.yaml"
    before = secrets.clear(folder.root, path)["stringData"]["token"]
    done = await rotate(folder, What.webhook)
    assert done.written == (path,)
    assert "nerv bootstrap github" in done.next[1]
    after = secrets.clear(folder.root, path)["stringData"]["token"]
    assert after != before
    assert len(after) >= 32
    clean(folder)


async def test_the_login_to_the_repository(folder: PlatformFolder) -> None:
    before = git_login(folder)
    done = await rotate(folder, What.git_login)
    assert git_login(folder).deploy_key != before.deploy_key
    assert "nerv bootstrap" in done.next[1]
    folder.definition.write_text(folder.definition.read_text().replace("ssh://git@github.com/", "https://github.com/"))
    await rendering.render(folder)
    with pytest.raises(NervError, match="the new token is missing"):
        await rotate(folder, What.git_login)
    await rotate(folder, What.git_login, token="new-token")
    assert git_login(folder).data["password"] == "new-token"
    clean(folder)


async def test_certificates_of_the_cluster_here(folder: PlatformFolder) -> None:
    pki = folder.state / "pki"
    pki.mkdir(parents=True)
    for name in ("ca.crt", "ca.key", "admin.crt", "admin.key", "service-account.key"):
        (pki / name).write_text("x")
    done = await rotate(folder, What.certificates)
    assert done.private == (pki / "admin.crt",)
    assert sorted(path.name for path in pki.iterdir()) == ["ca.crt", "ca.key", "service-account.key"]


@pytest.mark.parametrize("what", [What.operator, What.flux, What.host, What.dashboards, What.data_keys])
async def test_a_rotation_that_fails_leaves_every_file_as_it_was(
    folder: PlatformFolder, monkeypatch: pytest.MonkeyPatch, what: What
) -> None:
    """One file is damaged, which only shows when it is opened."""
    damaged = LOGIN if what is not What.host else SERVERS_FILE
    text = (folder.root / damaged).read_text()
    (folder.root / damaged).write_text(text.replace(",data:", ",data:AAAA", 1))
    before = state(folder)
    if what is What.dashboards:
        # this one writes the file anew; a folder in the way stops it instead
        (folder.root / LOGIN).unlink()
        (folder.root / LOGIN).mkdir()
        before = state(folder)
    with pytest.raises(NervError) as raised:
        await rotate(folder, what, node="nerv-1" if what is What.host else "")
    assert damaged in raised.value.message
    assert state(folder) == before


async def test_a_hand_edit_stops_a_rotation_before_anything_changes(folder: PlatformFolder) -> None:
    (folder.root / ".sops.yaml").write_text("creation_rules: []\n")
    before = state(folder)
    with pytest.raises(ProblemsError):
        await rotate(folder, What.operator)
    assert state(folder) == before


def _identities(own: private_keys.PrivateKeys) -> list[object]:
    return list(opening.read_identities("\n".join(own.secrets)))


def _data_key(text: str, own: private_keys.PrivateKeys) -> bytes:
    return opening.data_key(documents.load(text)["sops"], _identities(own))
