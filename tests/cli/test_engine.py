"""`nerv engine`: what it says of builds and of damaged programs, and that a build which is ended leaves no process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from tests.support.nodes import eventually, runs

from nerv import process
from nerv.cli import boundary
from nerv.engines.upstream import building, catalog, store

_GO = """#!/bin/sh
[ "$1" = version ] && { echo "go version go1.26.1 linux/amd64"; exit 0; }
[ "$1" = env ] && { echo "{}"; exit 0; }
sleep 600 &
echo $! > "$COMPILER"
wait
"""
_BUILDING_GO = """#!/bin/sh
[ "$1" = version ] && { echo "go version go1.26.1 linux/amd64"; exit 0; }
[ "$1" = env ] && { echo "{}"; exit 0; }
while [ "$1" != -o ]; do shift; done
{ echo "#!/bin/sh"; echo exit; head -c 1600000 /dev/zero; } > "$2"
sleep 0.6
"""
_NERV = """
import signal, sys
from nerv.cli import main
from nerv.engines.upstream import building
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started with
building.FREE_GIGABYTES = 0
main()
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "my data"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "my data"


def test_a_damaged_program_is_shown_with_the_remedy(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = store.default()
    built.folder.mkdir(parents=True)
    for source in catalog.SOURCES:
        made = built.folder / "made"
        made.write_text(source.program)
        built.add(source.program, made, version=source.version, origin="test", toolchain="", seconds=0)
    built.path("etcd").write_text("etc.")
    remedy = "damaged: etcd; `nerv engine build upstream` builds it again"

    assert boundary.run(["engine", "versions"]) == 0
    shown = capsys.readouterr()
    rows = {line.split()[1]: line for line in shown.out.splitlines() if line.startswith("upstream")}
    assert [name for name, row in rows.items() if "(damaged)" in row] == ["etcd"]
    assert shown.err.strip() == remedy

    assert boundary.run(["engine", "list"]) == 0
    assert f"no     0 MB  {remedy}" in capsys.readouterr().out


def test_building_tells_each_program_its_size_and_its_time(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a Go that makes 1.6 MB in 0.6 s."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "go").write_text(_BUILDING_GO)
    (programs / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(building, "FREE_GIGABYTES", 0)
    assert boundary.run(["engine", "build", "upstream"]) == 0
    shown = capsys.readouterr()
    first, *lines, deleted, last = shown.err.splitlines()
    folder = store.default().folder
    assert first == f"building 8 programs with go1.26.1 (PATH) in {folder}"
    assert lines[::2] == [f"[{n}/8] {source.program} ..." for n, source in enumerate(catalog.SOURCES, 1)]
    done = [f"[{n}/8] {source.program} {source.version}: 2 MB in " for n, source in enumerate(catalog.SOURCES, 1)]
    assert [line.rpartition(" in ")[0] + " in " for line in lines[1::2]] == done
    assert all(re.search(r" in [1-9]\d* s$", line) for line in lines[1::2]), lines
    assert deleted == "deleting what only building needed"
    assert last == f"engine upstream is ready, 13 MB in {folder}"
    assert shown.out == ""

    given = tmp_path / "given"  # programs that somebody has already
    folder.rename(given)
    assert boundary.run(["engine", "build", "upstream", "--from", str(given)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[:8] == [f"[{n}/8] {source.program} ..." for n, source in enumerate(catalog.SOURCES, 1)]
    assert lines[8] == f"[1/8] etcd unknown: 2 MB from {given / 'etcd'}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_build_that_is_ended_leaves_no_process(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    programs, compiler = tmp_path / "bin", tmp_path / "compiler"
    programs.mkdir()
    (programs / "go").write_text(_GO)
    (programs / "go").chmod(0o755)
    environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COMPILER": str(compiler)}
    command = [sys.executable, "-c", _NERV, "engine", "build", "upstream"]
    nerv = await process.start(command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert nerv.handle.stderr is not None
    try:
        await eventually(lambda: compiler.exists() and compiler.read_text().endswith("\n"), "the compiler to run")
        os.kill(nerv.pid, number)
        said = (await nerv.handle.stderr.read()).decode()
        assert await nerv.wait() == 128 + number
        assert "Traceback" not in said
        assert "nerv: " not in said
        await eventually(lambda: not runs(int(compiler.read_text())), "the compiler to end")
    finally:
        await nerv.stop(0)
        if compiler.exists() and runs(int(compiler.read_text())):
            os.kill(int(compiler.read_text()), signal.SIGKILL)
