"""A machine that refuses user namespaces: the platform runs by the proxy driver, says so once, and says its gaps."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually
from tests.support.nodes import needs_namespaces

import nerv

# Making a machine that refuses them needs one that does not.
pytestmark = [pytest.mark.timeout(300), needs_namespaces]

# A user namespace in which no further one can be made; with "none" also without the right to mount anything.
_REFUSING = """
import os, sys
sys.path.insert(0, sys.argv[1])
from nerv.network import syscalls
user, group = os.getuid(), os.getgid()
syscalls.unshare(syscalls.CLONE_NEWUSER)
syscalls.map_user(user, group)
with open("/proc/sys/user/max_user_namespaces", "w") as file:
    file.write("0")
if sys.argv[2] == "none":
    syscalls.drop_privileges()
os.execv(sys.executable, [sys.executable, "-m", "nerv", *sys.argv[3:]])
"""


@pytest.fixture(scope="module", params=["root", "none"])
def home(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Home]:
    """Up where mounts are allowed to root (as in many containers), or not at all (as for an ordinary user)."""
    base = tmp_path_factory.mktemp("refused")
    made = Home.at(base)
    package = str(Path(nerv.__file__).parents[1])
    up = ("up", str(made.folder), "--detach", "--offline")
    made.run(sys.executable, "-c", _REFUSING, package, request.param, *up, timeout=180)
    try:
        yield made
    finally:
        made.nerv("down", code=None)
    assert commands.processes_of(base) == []


def test_the_platform_is_healthy_and_says_once_why_it_runs_so(home: Home) -> None:
    status = home.status()
    assert status["healthy"], status["waiting"]
    assert len(status["pods"]) == 31
    assert status["network"][0].startswith("driver proxy: user namespaces are refused here: ")
    assert any("no TCP, UDP or h2c" in line for line in status["network"])
    said = (home.folder / ".nerv" / "logs" / "up.log").read_text()
    assert said.count("network driver proxy: user namespaces are refused here") == 1
    assert "Network         driver proxy: " in home.nerv("status").stdout
    assert json.loads((home.folder / ".nerv" / "network.json").read_text())["asked"] == ""


def test_pods_say_what_was_rewritten_and_hold_no_capability(home: Home) -> None:
    pod = home.get("pods", "-n", "traefik-system")["items"][0]
    rewritten = pod["metadata"]["annotations"]["nerv.dev/rewritten"]
    assert "traefik: --entryPoints.metrics.address=:9100/tcp -> --entryPoints.metrics.address=127." in rewritten
    assert "socks5" not in rewritten
    inside = home.kubectl("exec", "-n", "traefik-system", "deploy/traefik", "--", "grep", "CapEff", "/proc/self/status")
    assert inside.split() == ["CapEff:", "0000000000000000"]


@pytest.mark.parametrize("name", ["traefik", "longhorn", "flux"])
def test_dashboards_are_served_over_tls(home: Home, name: str) -> None:
    published = json.loads((home.folder / ".nerv" / "published.json").read_text())
    host, port = published["192.168.1.111"]["443"]
    words = (
        "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(home.folder / ".nerv" / "ca.crt"),
        "--connect-to", f"{name}.nerv.local:{port}:{host}:{port}", f"https://{name}.nerv.local:{port}/",
    )  # fmt: skip
    eventually(lambda: home.run(*words, code=None).stdout == "401", "the dashboard to ask for a login")


def test_namespaces_that_are_asked_for_are_refused_with_the_way_out(home: Home, tmp_path: Path) -> None:
    other = Home.at(tmp_path, "other", beside=home)
    other.nerv("init", str(other.folder))
    package = str(Path(nerv.__file__).parents[1])
    up = ("up", str(other.folder), "--offline", "--network", "namespaces")
    done = other.run(sys.executable, "-c", _REFUSING, package, "root", *up, code=1)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("nerv: user namespaces are refused here: ")
    assert "`--network proxy` does without" in last


def test_kill_9_leaves_no_process(home: Home) -> None:
    """The last of this platform."""
    os.kill(home.pid(), signal.SIGKILL)
    eventually(lambda: commands.processes_of(home.folder.parent) == [], "all processes to be gone")
