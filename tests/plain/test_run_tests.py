"""tools/run_tests.py, as continuous integration and a user's machine start it: whether the upstream engine is built."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from nerv.engines.upstream import catalog, store

_PATH = Path(__file__).parents[2] / "tools" / "run_tests.py"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as it stands, on a machine without the engine and with no other program than a test gives it."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("CI", "true")
    spec = importlib.util.spec_from_file_location("run_tests", _PATH)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _go(version: str) -> None:
    go = Path(os.environ["PATH"]) / "go"
    go.write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    go.chmod(0o755)


def test_it_is_built_in_continuous_integration_where_go_is_new_enough(
    tool: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    _go("go1.25.0")
    assert tool.is_to_be_built()
    assert capsys.readouterr().err == ""


def test_it_is_not_built_on_a_users_machine(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _go("go1.26.1")
    for told in ("", None):
        monkeypatch.setenv("CI", told) if told is not None else monkeypatch.delenv("CI")
        assert not tool.is_to_be_built()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("version", ["go1.24.9", "", None])
def test_without_a_go_that_is_new_enough_it_says_what_is_left_out(
    tool: ModuleType, capsys: pytest.CaptureFixture[str], version: str | None
) -> None:
    if version is not None:
        _go(version)
    assert not tool.is_to_be_built()
    assert capsys.readouterr().err == (
        "no Go 1.25 or later on PATH and the upstream engine is not built: its tests are left out\n"
    )


def test_it_is_built_once(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    _go("go1.26.1")
    into = store.default()
    into.folder.mkdir(parents=True)
    for source in catalog.SOURCES:
        assert tool.is_to_be_built()  # until the last program is there
        made = into.folder / "made"
        made.write_text(source.program)
        into.add(source.program, made, version=source.version, origin="test", toolchain="", seconds=0)
    assert not tool.is_to_be_built()
    assert capsys.readouterr().err == ""
