"""Starting, dying and stopping: nothing lost, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually

pytestmark = [pytest.mark.timeout(300)]


@pytest.mark.parametrize("machine", commands.MACHINES)
def test_kill_9_loses_nothing_and_leaves_no_process(tmp_path: Path, machine: tuple[str, ...]) -> None:
    with commands.up(Home.at(tmp_path), *machine) as home:
        home.kubectl("create", "configmap", "kept", "--from-literal=a=b")
        uid = home.get("configmap", "kept")["metadata"]["uid"]
        pods = {pod["metadata"]["uid"] for pod in home.get("pods", "-A")["items"]}
        os.kill(home.pid(), signal.SIGKILL)
        eventually(lambda: commands.processes_of(tmp_path) == [], "all processes to be gone")

        home.nerv("up", str(home.folder), "--detach", "--offline")
        # healthy means that the dashboards answer, also the console's, whose program has only just been started again
        told = [home.curl(name, "-u", f"admin:{home.password()}") for name in ("flux", "longhorn", "traefik")]
        assert told == ["200", "200", "302"]
        assert home.status()["healthy"]
        assert home.get("configmap", "kept")["metadata"]["uid"] == uid
        assert {pod["metadata"]["uid"] for pod in home.get("pods", "-A")["items"]} == pods


@pytest.mark.parametrize("moment", ["wrote .*nerv.yaml", "HelmRelease .*: Progressing Running 'install'"])
def test_kill_9_during_the_first_bring_up_is_gone_on_with(tmp_path: Path, moment: str) -> None:
    home = Home.at(tmp_path)
    first = subprocess.Popen(
        [sys.executable, "-m", "nerv", "up", str(home.folder), "--offline"],
        cwd=tmp_path,
        env=home.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert first.stderr is not None
    try:
        assert any(re.search(moment, line) for line in first.stderr)
    finally:
        first.kill()
        first.communicate()
    eventually(lambda: commands.processes_of(tmp_path) == [], "all processes to be gone")
    with commands.up(home):
        status = home.status()
        assert status["healthy"], status["waiting"]
        assert len(status["pods"]) == 31
        # a release whose installation was cut off is taken up, not installed beside itself
        assert all(release["message"].startswith("Helm ") for release in status["releases"])


def test_a_killed_relay_comes_back_and_so_do_the_pods_connections(tmp_path: Path) -> None:
    with commands.up(Home.at(tmp_path)) as home:
        relay = next(
            int(line.partition(":")[0]) for line in commands.processes_of(tmp_path) if "nerv.network.relay" in line
        )
        os.kill(relay, signal.SIGKILL)
        eventually(
            lambda: "SandboxChanged" in home.kubectl("get", "events", "-n", "traefik-system", code=None),
            "Traefik to be started again",
        )
        eventually(lambda: home.status()["healthy"], "health after the relay's end")
        told = home.nerv("open", "traefik").stderr  # asks the dashboard for its certificate, through Traefik
        assert "https://traefik.nerv.local" in told
        assert "Traefik version" in home.nerv("logs", "deploy/traefik").stdout


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    foreground = subprocess.Popen(
        [sys.executable, "-m", "nerv", "up", str(home.folder), "--offline"],
        cwd=tmp_path,
        env=home.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert foreground.stderr is not None
        said = []
        for line in foreground.stderr:
            said.append(line)
            if "is healthy after" in line:
                break
        assert any("Kustomization flux-system/apps: Ready" in line for line in said), "".join(said)
        foreground.send_signal(signal.SIGINT)
        foreground.communicate(timeout=60)
        assert foreground.returncode == 130
    finally:
        foreground.kill()
        foreground.wait()
    assert commands.processes_of(tmp_path) == []


@pytest.mark.parametrize("machine", commands.MACHINES)
def test_two_platforms_run_side_by_side(tmp_path: Path, machine: tuple[str, ...]) -> None:
    first = Home.at(tmp_path, "first")
    second = Home.at(tmp_path, "second", beside=first)
    with commands.up(first, *machine), commands.up(second, *machine):
        assert first.status()["healthy"]
        assert second.status()["healthy"]
        listed = first.nerv("list").stdout
        assert "first" in listed
        assert "second" in listed
        reading = [(home.folder / ".nerv" / "published.json").read_text() for home in (first, second)]
        assert reading[0] != reading[1]


def test_reset_forgets_the_state_and_keeps_repository_and_keys(tmp_path: Path) -> None:
    with commands.up(Home.at(tmp_path)) as home:
        head = home.git("rev-parse", "HEAD")
        keys = sorted((tmp_path / "config" / "nerv").rglob("*"))
        home.nerv("reset", "--yes")
        assert not (home.folder / ".nerv").exists()
        assert home.git("rev-parse", "HEAD") == head
        assert sorted((tmp_path / "config" / "nerv").rglob("*")) == keys
