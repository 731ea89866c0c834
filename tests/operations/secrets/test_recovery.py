"""The operator's key is lost: another reader's key leads back, and what none can open is made anew on demand alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyrage
import pytest
from tests.support import secrets
from tests.support.secrets import FILES, LOGIN

from nerv.builders import sops as opening
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.resources import NAMESPACES, SECRETS
from nerv.operations import host_keys, keys, rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import checking, private_keys, recipients, recovery
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE


def lose(*, all_of_it: bool = True) -> None:
    """The operator's folder, or his key alone."""
    base = keys.folder_for("home")
    if all_of_it:
        shutil.rmtree(base)
    else:
        (base / keys.OPERATOR).unlink()


def state(folder: PlatformFolder) -> dict[str, str]:
    return {str(path): text for path, text in secrets.files_below(folder.root)}


def sound(folder: PlatformFolder, old: str) -> None:
    """Everything opens for the new operator and for the hosts, nothing for the lost key."""
    assert rendering.differences(folder) == []
    assert rendering.check(folder) == []
    assert checking.check(folder).problems == ()
    assert [path for path in FILES if secrets.opens(folder.root, path, old) is not None] == []


async def test_a_persons_key_opens_everything(folder: PlatformFolder) -> None:
    ada = pyrage.x25519.Identity.generate()
    await recipients.add(folder, str(ada.to_public()), "Ada")
    old, password = secrets.operator(), keys.credentials("home").password
    before = {path: secrets.clear(folder.root, path) for path in (SERVERS_FILE, AGENTS_FILE)}
    lose()
    done = await recovery.recover(folder, private_keys.of_text(str(ada)))
    assert (done.made_anew, done.lost, done.new_flux_key) == ((), (), False)
    # tokens and Flux's key are the same; the password stood nowhere in clear but in the lost folder
    assert {path: secrets.clear(folder.root, path) for path in before} == before
    assert done.new_password
    assert keys.credentials("home").password != password
    sound(folder, old)


async def test_a_servers_host_key_and_the_clusters_key_are_enough(folder: PlatformFolder) -> None:
    """What is at hand when nobody else was a recipient: the machine's /etc/ssh, and Secret sops-age."""
    old, servers = secrets.operator(), secrets.clear(folder.root, SERVERS_FILE)
    flux, pem = secrets.flux(), host_keys.file_of("home", "nerv-1").read_text()
    lose()
    given = private_keys.of_text(pem) + private_keys.of_text(flux)
    with pytest.raises(NervError, match=AGENTS_FILE):
        await recovery.recover(folder, given, (pem,))
    done = await recovery.recover(folder, given, (pem,), anew=True)
    # the agents' token stands in the servers' file too, so that it is the same even so
    assert done.made_anew == (AGENTS_FILE,)
    assert secrets.clear(folder.root, SERVERS_FILE) == servers
    assert secrets.clear(folder.root, AGENTS_FILE) == {"k3s-agent-token": servers["k3s-agent-token"]}
    assert secrets.flux() == flux
    assert host_keys.file_of("home", "nerv-1").read_text() == pem
    sound(folder, old)


async def test_a_servers_host_key_alone_brings_fluxs_key_back(folder: PlatformFolder) -> None:
    old, flux = secrets.operator(), secrets.flux()
    pem = host_keys.file_of("home", "nerv-1").read_text()
    lose()
    before = state(folder)
    with pytest.raises(NervError) as raised:
        await recovery.recover(folder, private_keys.of_text(pem), (pem,))
    assert AGENTS_FILE in raised.value.message
    assert LOGIN not in raised.value.message
    assert "--anew" in raised.value.hint
    assert state(folder) == before
    assert not keys.folder_for("home").exists()
    done = await recovery.recover(folder, private_keys.of_text(pem), (pem,), anew=True)
    assert not done.new_flux_key
    assert secrets.flux() == flux
    sound(folder, old)


async def test_with_no_key_that_opens_anything_all_that_can_be_is_made_anew(folder: PlatformFolder) -> None:
    old, servers = secrets.operator(), secrets.clear(folder.root, SERVERS_FILE)
    own = "secrets/wifi.sops.yaml"
    (folder.root / own).write_text((folder.root / LOGIN).read_text())
    kept = (folder.root / own).read_text()
    lose()
    stranger = private_keys.of_text(str(pyrage.x25519.Identity.generate()))
    done = await recovery.recover(folder, stranger, anew=True)
    assert set(done.made_anew) >= set(FILES)
    assert done.lost == (own,)
    assert (folder.root / own).read_text() == kept
    assert done.new_flux_key
    new = secrets.clear(folder.root, SERVERS_FILE)
    assert [key for key in servers if servers[key] == new[key]] == []
    (folder.root / own).unlink()
    sound(folder, old)


async def test_only_the_operators_key_is_gone(folder: PlatformFolder) -> None:
    """Flux's key, the password and the host keys are still here; the agents' file is opened by its own host key."""
    old, password, flux = secrets.operator(), keys.credentials("home").password, secrets.flux()
    pems = tuple(host_keys.file_of("home", node).read_text() for node in ("nerv-1", "worker-1"))
    lose(all_of_it=False)
    given = private_keys.of_text(flux)
    for pem in pems:
        given += private_keys.of_text(pem)
    done = await recovery.recover(folder, given, pems)
    assert (done.made_anew, done.new_password, done.new_flux_key) == ((), False, False)
    assert (keys.credentials("home").password, secrets.flux()) == (password, flux)
    sound(folder, old)


async def test_a_key_that_is_not_lost_is_not_replaced(folder: PlatformFolder) -> None:
    with pytest.raises(NervError, match="is not lost"):
        await recovery.recover(folder, private_keys.of_text(secrets.flux()), anew=True)


async def test_another_operators_key_in_the_folder_is_kept_aside(folder: PlatformFolder) -> None:
    ada = pyrage.x25519.Identity.generate()
    await recipients.add(folder, str(ada.to_public()))
    path = keys.folder_for("home") / keys.OPERATOR
    path.write_text(keys.new_key())
    stale = secrets.operator()
    await recovery.recover(folder, private_keys.of_text(str(ada)))
    aside = keys.folder_for("home") / "retired" / f"{private_keys.of_text(stale).recipients[0]}.operator.agekey"
    assert stale in aside.read_text()
    assert checking.check(folder).problems == ()


async def test_fluxs_key_comes_from_the_cluster(folder: PlatformFolder, client: Client) -> None:
    with pytest.raises(NervError, match="has no Secret flux-system/sops-age"):
        await recovery.flux_keys(client)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
    await client.create(NAMESPACES, namespace)
    await client.create(SECRETS, keys.age_secret(keys.require("home")))
    found = await recovery.flux_keys(client)
    assert found.secrets == (secrets.flux(),)


def test_identities_are_age_keys_or_ssh_keys_and_never_shown(tmp_path: Path) -> None:
    pem = host_keys.generate()
    path = tmp_path / "key"
    path.write_text(pem)
    assert private_keys.of_file(path).recipients == (opening.ssh.recipient(host_keys.public_line(pem, "x")),)
    path.write_text("# nothing\n")
    with pytest.raises(NervError, match="no private key in it"):
        private_keys.of_file(path)
    broken = str(pyrage.x25519.Identity.generate())[:-3]
    path.write_text(broken)
    with pytest.raises(NervError) as raised:
        private_keys.of_file(path)
    assert broken not in str(raised.value.lines())
    assert "SECRET" not in repr(private_keys.of_text(keys.new_key()))
