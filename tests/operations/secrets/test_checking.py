"""`nerv secrets check` names what is wrong, each thing with its place and its way out."""

from __future__ import annotations

import datetime

import pytest
from tests.support.secrets import LOGIN

from nerv import certificates
from nerv.errors import NervError
from nerv.operations import host_keys, keys
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import checking
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE


def problems(folder: PlatformFolder) -> list[str]:
    return [str(problem) for problem in checking.check(folder).problems]


def replace(folder: PlatformFolder, path: str, old: str, new: str) -> None:
    text = (folder.root / path).read_text()
    assert old in text
    (folder.root / path).write_text(text.replace(old, new, 1))


def one(found: list[str], *parts: str) -> None:
    assert any(all(part in line for part in parts) for line in found), found


async def test_nothing_is_wrong_with_a_new_platform(folder: PlatformFolder) -> None:
    report = checking.check(folder)
    assert report.problems == ()
    assert report.notes == ("flux-git-login has no known_hosts yet: `nerv bootstrap` brings it",)


async def test_damage_shows_in_the_mac(folder: PlatformFolder) -> None:
    replace(folder, LOGIN, "name: dashboard-login", "name: other")
    assert problems(folder) == [
        f"{LOGIN}: failed to verify sops data integrity: the MAC does not fit the values "
        "(take the file from Git: somebody changed it without sops, or two changes were merged)"
    ]


async def test_a_damaged_value_is_named(folder: PlatformFolder) -> None:
    replace(folder, AGENTS_FILE, ",data:", ",data:AAAA")
    one(problems(folder), f"{AGENTS_FILE}: error decrypting sops tree: value of k3s-agent-token")


async def test_plain_text_is_found(folder: PlatformFolder) -> None:
    (folder.root / AGENTS_FILE).write_text("k3s-agent-token: open\n")
    found = problems(folder)
    one(found, AGENTS_FILE, "is not encrypted")
    assert "open" not in "".join(found).replace("opens", "").replace("opened", "")


async def test_missing_files_and_keys(folder: PlatformFolder) -> None:
    (folder.root / LOGIN).unlink()
    (folder.root / "nixos/keys/worker-1.pub").unlink()
    (keys.folder_for("home") / keys.FLUX).unlink()
    (keys.folder_for("home") / keys.CREDENTIALS).unlink()
    (keys.folder_for("home") / keys.OPERATOR).chmod(0o644)
    with pytest.raises(NervError, match=r"flux\.agekey is missing"):
        checking.check(folder)
    (keys.folder_for("home") / keys.FLUX).write_text(keys.new_key())
    found = problems(folder)
    one(found, f"{LOGIN}: is missing", "nerv secrets init")
    one(found, "nixos/keys/worker-1.pub: is missing")
    one(found, "operator.agekey: can be read by other users (chmod 600")
    one(found, "credentials: is missing", "rotate dashboards")
    one(found, "flux.agekey is not the key that .sops.yaml names", "replaced elsewhere")
    one(found, "flux-sops-age is not the key in", "rotate flux")


async def test_what_stands_in_two_places_must_agree(folder: PlatformFolder) -> None:
    login = keys.new_credentials()
    (keys.folder_for("home") / keys.CREDENTIALS).write_text(login.text())
    found = problems(folder)
    one(found, LOGIN, "holds another password than", "rotate dashboards")
    assert login.password not in "".join(found)


async def test_a_host_key_that_is_elsewhere_is_a_remark(folder: PlatformFolder) -> None:
    host_keys.file_of("home", "nerv-1").unlink()
    report = checking.check(folder)
    assert report.problems == ()
    assert any("nerv-1 cannot be installed from this machine" in note for note in report.notes)


async def test_an_ended_certificate(folder: PlatformFolder) -> None:
    pki = folder.state / "pki"
    pki.mkdir(parents=True)
    ended = certificates.create_ca("old", valid=datetime.timedelta(seconds=-1))
    (pki / "admin.crt").write_text(ended.certificate)
    one(problems(folder), "admin.crt: ended on", "rotate certificates")


async def test_age_is_a_remark(folder: PlatformFolder) -> None:
    path = keys.folder_for("home") / keys.OPERATOR
    made = path.read_text()
    path.write_text(made.replace(made.splitlines()[0], "# created: 2020-01-01T00:00:00Z"))
    path.chmod(0o600)
    report = checking.check(folder, max_age=100)
    assert report.problems == ()
    one(list(report.notes), "operator.agekey is", "rotate operator")
    report = checking.check(folder, max_age=-1)
    one(list(report.notes), f"{SERVERS_FILE} was last changed 0 days ago")
