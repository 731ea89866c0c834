"""init, check, render, eject and schema through the command line: output, exit codes, one line for each failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nerv.cli import boundary


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and Git settings of this test alone."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)


Capture = pytest.CaptureFixture[str]


def nerv(capsys: Capture, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert boundary.run(list(arguments)) == code
    return capsys.readouterr()


def test_init_tells_what_it_made_and_then_that_nothing_is_to_do(capsys: Capture, tmp_path: Path) -> None:
    out, err = nerv(capsys, "init", "home")
    assert out == ""
    assert f"wrote {tmp_path}/home/nerv.yaml" in err
    assert "is a platform already" in nerv(capsys, "init", "home")[1]


def test_check_is_silent_on_stdout_and_names_every_problem(capsys: Capture, tmp_path: Path) -> None:
    nerv(capsys, "init", "home")
    out, err = nerv(capsys, "-C", "home", "check")
    first, last = err.splitlines()
    assert (out, last) == ("", "nothing is wrong")
    assert first.startswith("before nerv deploy: nixos/modules/base.nix:")
    assert "nobody could log in to nerv-1" in first
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: default}\nstringData: {a: b}\n"
    (tmp_path / "home/x.yaml").write_text(secret)
    out, err = nerv(capsys, "-C", "home", "check", code=1)
    assert out == ""
    assert "\nnerv: x.yaml: Secret default/x: `a` in clear (" in err
    assert err.endswith("nerv: 1 problem found\n")


def test_check_stops_at_a_wrong_definition(capsys: Capture, tmp_path: Path) -> None:
    nerv(capsys, "init", "home")
    path = tmp_path / "home/nerv.yaml"
    path.write_text(path.read_text().replace("cidr: 192.168.1.0/24", "cidr: 192.168.1.7/24"))
    err = nerv(capsys, "-C", "home", "check", code=1)[1]
    assert "`192.168.1.7/24` has host bits set (did you mean 192.168.1.0/24?)" in err


def test_render_check_lists_what_differs_and_render_writes_it(capsys: Capture, tmp_path: Path) -> None:
    nerv(capsys, "init", "home")
    assert nerv(capsys, "-C", "home", "render", "--check") == ("", "")
    path = tmp_path / "home/nerv.yaml"
    path.write_text(path.read_text().replace("192.168.1.111-192.168.1.150", "192.168.1.111-192.168.1.140"))
    expected = "apps-config/metallb/pool.yaml: would be written\n"
    assert nerv(capsys, "-C", "home", "render", "--check", code=1) == (expected, "")
    assert nerv(capsys, "-C", "home", "render") == ("wrote apps-config/metallb/pool.yaml\n", "")
    assert nerv(capsys, "-C", "home", "render") == ("", "everything is as the definition says\n")


def test_a_hand_edit_is_one_line_with_the_way_out(capsys: Capture, tmp_path: Path) -> None:
    nerv(capsys, "init", "home")
    (tmp_path / "home/README.md").write_text("mine\n")
    err = nerv(capsys, "-C", "home", "render", code=1)[1]
    assert "nerv: README.md: edited by hand (put the change into nerv.yaml, or `nerv eject README.md` to own it" in err
    assert nerv(capsys, "-C", "home", "eject", "README.md")[1] == "README.md is yours now\n"
    assert nerv(capsys, "-C", "home", "render", "--check") == ("", "")
    assert nerv(capsys, "-C", "home", "eject", "--undo", "README.md")[1] == "README.md is NERV's now\n"


def test_schema_is_json_on_stdout(capsys: Capture) -> None:
    schema = json.loads(nerv(capsys, "schema")[0])
    assert schema["properties"].keys() == {"apiVersion", "kind", "metadata", "spec"}


def test_no_platform_is_one_clear_line(capsys: Capture, tmp_path: Path) -> None:
    err = nerv(capsys, "-C", "nowhere", "check", code=1)[1]
    assert err == "nerv: nowhere holds no nerv.yaml (`nerv init nowhere` makes one)\n"
