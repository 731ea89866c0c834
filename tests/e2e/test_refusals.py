"""What cannot be done is said in one line with its remedy; exit code not 0, nothing half-written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.commands import Home


def _refused(home: Home, *arguments: str, code: int = 1) -> str:
    done = home.nerv(*arguments, code=code)
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    assert lines, done.stdout
    assert lines[-1].startswith("nerv: ")
    return lines[-1]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path)


def test_no_git(home: Home) -> None:
    bare = Home(home.folder, {**home.environment, "PATH": str(Path(sys.executable).parent)})
    assert "Git is not installed" in _refused(bare, "up", str(home.folder))
    assert not home.folder.exists() or not any(home.folder.iterdir())


def test_an_unwritable_folder(home: Home) -> None:
    # /proc takes no files, not even root's
    assert "/proc cannot be written" in _refused(home, "up", "/proc/home")


def test_a_broken_definition_names_file_line_and_column(home: Home) -> None:
    home.nerv("init", str(home.folder))
    definition = home.folder / "nerv.yaml"
    definition.write_text(definition.read_text().replace("  domain:", "  domian:"))
    done = home.nerv("up", str(home.folder), code=1)
    assert f"{definition.name}:" in done.stderr
    assert "nerv.yaml:12:3: unknown key `domian` (did you mean `domain`?)" in done.stderr
    assert not (home.folder / ".nerv" / "data").exists()


@pytest.mark.parametrize(("content", "word"), [("99\n", "newer NERV"), ("?\n", "corrupt")])
def test_a_state_that_cannot_be_used(home: Home, content: str, word: str) -> None:
    home.nerv("init", str(home.folder))
    state = home.folder / ".nerv"
    state.mkdir(exist_ok=True)
    (state / "format").write_text(content)
    assert word in _refused(home, "up", str(home.folder))
    assert (state / "format").read_text() == content


def test_a_corrupt_database(home: Home) -> None:
    home.nerv("init", str(home.folder))
    database = home.folder / ".nerv" / "data" / "embedded" / "cluster.db"
    database.parent.mkdir(parents=True)
    (home.folder / ".nerv" / "format").write_text("1\n")
    database.write_bytes(b"this is no database" * 100)
    assert "cluster.db" in _refused(home, "up", str(home.folder))


def test_an_unknown_verb(home: Home) -> None:
    assert "No such command" in _refused(home, "fly", code=2)


def test_nothing_to_show(home: Home) -> None:
    assert "no nerv.yaml here or above" in _refused(home, "status")
