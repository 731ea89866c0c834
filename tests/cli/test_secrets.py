"""`nerv secrets ...` through the command line: results on stdout, steps and remarks on stderr, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyrage
import pytest

from nerv import documents
from nerv.cli import boundary
from nerv.operations import host_keys

LOGIN = "secrets/traefik-system-dashboard-login.sops.yaml"
SERVERS = "nixos/secrets/servers.sops.yaml"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and Git settings of this test alone."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home(own_home: None, capsys: Capture, tmp_path: Path) -> Path:
    """A new platform."""
    assert boundary.run(["init", "home"]) == 0
    capsys.readouterr()
    return tmp_path / "home"


def nerv(capsys: Capture, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert boundary.run(["-C", "home", "secrets", *arguments]) == code
    return capsys.readouterr()


def test_list_is_a_matrix_of_files_and_readers(capsys: Capture, home: Path) -> None:
    lines = [line.split() for line in nerv(capsys, "list")[0].splitlines()]
    assert lines[0] == ["FILE", "operator", "flux", "nerv-1"]
    assert [SERVERS, "yes", "no", "yes"] in lines
    assert [LOGIN, "yes", "yes", "no"] in lines
    found = json.loads(nerv(capsys, "list", "-o", "json")[0])
    recipients = {reader["name"] or reader["kind"]: reader["recipient"] for reader in found["readers"]}
    assert list(recipients) == ["operator", "flux", "nerv-1"]
    assert found["files"][SERVERS][recipients["flux"]] == "no"
    assert documents.load(nerv(capsys, "list", "-o", "yaml")[0]) == found


def test_init_makes_what_is_missing_and_says_where_the_keys_are(capsys: Capture, home: Path) -> None:
    (home / LOGIN).unlink()
    out, err = nerv(capsys, "init")
    assert out == f"wrote {LOGIN}\n"
    assert "keep a backup" in err
    assert "nothing is missing" in nerv(capsys, "init")[1]


def test_show_prints_one_value_or_the_file(capsys: Capture, home: Path) -> None:
    clear = documents.load(nerv(capsys, "show", SERVERS)[0])
    assert nerv(capsys, "show", SERVERS, "k3s-token") == (clear["k3s-token"], "")
    err = nerv(capsys, "show", SERVERS, "nothing", code=1)[1]
    assert err.startswith(f"nerv: {SERVERS} has no nothing (it has k3s-token, k3s-agent-token,")
    assert "is missing" in nerv(capsys, "show", "secrets/none.sops.yaml", code=1)[1]


def test_known_hosts_are_the_keys_that_machines_will_have(capsys: Capture, home: Path) -> None:
    public = (home / "nixos/keys/nerv-1.pub").read_text().split()
    assert nerv(capsys, "known-hosts")[0] == f"192.168.1.10,nerv-1 {public[0]} {public[1]}\n"


def test_edit_opens_the_users_editor(
    capsys: Capture, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/^k3s-token: .*/k3s-token: edited/" "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    out, err = nerv(capsys, "edit", SERVERS)
    assert out == f"wrote {SERVERS}\n"
    assert "`nerv deploy --update` every server" in err
    assert "edited" not in (home / SERVERS).read_text()
    assert nerv(capsys, "show", SERVERS, "k3s-token")[0] == "edited"
    # the second time it changes nothing, which is no failure
    before = (home / SERVERS).read_text()
    assert nerv(capsys, "edit", SERVERS)[0] == ""
    assert (home / SERVERS).read_text() == before


def test_people_are_added_and_removed_by_name(capsys: Capture, home: Path) -> None:
    ada = str(pyrage.x25519.Identity.generate().to_public())
    out, err = nerv(capsys, "add-recipient", ada, "--name", "Ada")
    assert "wrote nerv.yaml\n" in out
    assert err == "1. commit and push what changed\n"
    assert nerv(capsys, "list")[0].split()[:5] == ["FILE", "operator", "flux", "Ada", "nerv-1"]
    out, err = nerv(capsys, "remove-recipient", "Ada")
    assert f"wrote {LOGIN}\n" in out
    assert "what could be read until now was read" in err
    assert ada not in (home / LOGIN).read_text() + (home / "nerv.yaml").read_text()
    assert "is not in spec.secrets.recipients" in nerv(capsys, "remove-recipient", "Ada", code=1)[1]


def test_rotations_print_what_was_written_and_what_is_next(capsys: Capture, home: Path) -> None:
    out, err = nerv(capsys, "rotate", "host", "nerv-1")
    assert f"wrote {host_keys.file_of('home', 'nerv-1')}\n" in out
    assert [line[:3] for line in err.splitlines()] == ["1. ", "2. ", "3. "]
    assert "which node? (there are nerv-1)" in nerv(capsys, "rotate", "host", code=1)[1]
    assert "'nothing' is not one of" in nerv(capsys, "rotate", "nothing", code=2)[1]


def test_check_remarks_on_stderr_and_fails_for_what_is_wrong(capsys: Capture, home: Path) -> None:
    out, err = nerv(capsys, "check")
    assert (out, err.splitlines()[-1]) == ("", "nothing is wrong")
    text = (home / LOGIN).read_text()
    (home / LOGIN).write_text(text.replace(",data:", ",data:AAAA", 1))
    err = nerv(capsys, "check", code=1)[1]
    assert f"nerv: {LOGIN}: error decrypting sops tree" in err
    assert err.endswith("nerv: 1 problem found\n")


def test_the_way_back_by_a_host_key(capsys: Capture, home: Path, tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    shutil.copy(host_keys.file_of("home", "nerv-1"), key)
    shutil.rmtree(tmp_path / "config")
    assert "no private key in" in nerv(capsys, "show", SERVERS, code=1)[1]
    assert "give --identity FILE or --kubeconfig FILE" in nerv(capsys, "recover", code=2)[1]
    out, err = nerv(capsys, "recover", "--identity", str(key))
    assert f"wrote {SERVERS}\n" in out
    assert "the dashboards have a new password" in err
    assert nerv(capsys, "check")[1].splitlines()[-1] == "nothing is wrong"
    assert "is not lost" in nerv(capsys, "recover", "--identity", str(key), code=1)[1]
