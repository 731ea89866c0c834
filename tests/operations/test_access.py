from pathlib import Path

import pytest

from nerv import certificates
from nerv.errors import NervError
from nerv.operations import access
from nerv.operations.access import Served
from nerv.operations.status import Dashboard


def _target(name: str = "traefik", port: int = 8443) -> Served:
    host = f"{name}.nerv.local"
    return Served(Dashboard(name, host, f"https://{host}:{port}/"), "127.168.1.111", port)


def test_the_hosts_block_goes_in_and_out_without_a_trace() -> None:
    before = "127.0.0.1 localhost\n# mine\n"
    with_block = before + access.hosts_block("home", [_target(), _target("flux")])
    assert "127.168.1.111 traefik.nerv.local\n127.168.1.111 flux.nerv.local\n" in with_block
    assert access.without_block(with_block, "home") == before
    assert access.without_block(with_block, "other") == with_block


def test_hosts_without_the_right_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NervError) as caught:
        access.write_hosts("x", tmp_path)
    assert caught.value.hint == "run the same command with sudo"


def test_nobody_behind_a_dashboard_is_one_line() -> None:
    ca = certificates.create_ca("one")
    with pytest.raises(NervError, match="does not answer with a certificate that verifies"):
        access.served_pin(_target(port=1), ca.certificate)


def test_the_browser_profile_resolves_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "chromium" else None)
    both = [_target(), _target("flux")]
    command = access.browser_command(tmp_path / "profile", both[0], both, ["pin"])
    assert command is not None
    assert "--host-resolver-rules=MAP traefik.nerv.local 127.168.1.111, MAP flux.nerv.local 127.168.1.111" in command
    assert "--ignore-certificate-errors-spki-list=pin" in command
    assert command[-1] == "https://traefik.nerv.local:8443/"
    monkeypatch.setattr(access.shutil, "which", lambda name: None)
    assert access.browser_command(tmp_path / "profile", both[0], both, ["pin"]) is None


def test_the_authority_is_asked_for_too_early(tmp_path: Path) -> None:
    with pytest.raises(NervError, match="not issued yet"):
        access.read_ca(tmp_path / "ca.crt")
