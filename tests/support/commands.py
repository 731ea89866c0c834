"""Running the command line and real clients from end-to-end tests, each as the user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nerv.engines.upstream import store

BIN = Path(sys.executable).parent
PATIENCE = 90.0
START_PATIENCE = 300.0

_UPSTREAM = store.default()
NEEDS_UPSTREAM = pytest.mark.upstream
"""Left out where the engine is not built (tests/conftest.py)."""
MACHINES = (
    pytest.param(("--engine", "embedded", "--network", "namespaces"), id="embedded-namespaces"),
    pytest.param(("--engine", "embedded", "--network", "proxy"), id="embedded-proxy"),
    pytest.param(("--engine", "upstream", "--network", "namespaces"), id="upstream-namespaces", marks=NEEDS_UPSTREAM),
    pytest.param(("--engine", "upstream", "--network", "proxy"), id="upstream-proxy", marks=NEEDS_UPSTREAM),
)
"""Options of `nerv up`: engine by network driver. The main job is done on each."""


@dataclass(frozen=True)
class Home:
    """A platform of its own: folder, keys, run-time folder."""

    folder: Path
    environment: dict[str, str]

    @classmethod
    def at(cls, base: Path, name: str = "home", beside: Home | None = None) -> Home:
        """A platform below `base`; `beside` another it belongs to the same user and sees it."""
        # unix sockets allow 107 characters, pytest's own folders are too long
        run = beside.environment["XDG_RUNTIME_DIR"] if beside else tempfile.mkdtemp(prefix="nerv-run-", dir="/tmp")
        environment = {
            **os.environ,
            "HOME": str(base),
            "XDG_CONFIG_HOME": str(base / "config"),
            "XDG_RUNTIME_DIR": run,
            # programs of engines are the user's, built once; nothing else lies there
            "XDG_DATA_HOME": str(_UPSTREAM.folder.parents[3]),
            "NERV_TEST_FOLDER": str(base),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        return cls(base / name, environment)

    def run(self, *command: str, code: int | None = 0, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run a command in the platform's folder and check its exit code (None: any)."""
        where = self.folder if self.folder.exists() else self.folder.parent
        done = subprocess.run(
            command, cwd=where, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if code is not None:
            assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def nerv(
        self, *arguments: str, code: int | None = 0, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "nerv", *arguments, code=code, timeout=timeout)

    def kubectl(self, *arguments: str, code: int | None = 0) -> str:
        kubeconfig = str(self.folder / ".nerv" / "kubeconfig")
        return self.run(str(BIN / "kubectl"), "--kubeconfig", kubeconfig, *arguments, code=code).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def status(self) -> dict[str, Any]:
        done = self.nerv("status", "-o", "json", code=None)
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"healthy": False, "stderr": done.stderr}
        return found

    def published(self) -> tuple[str, int]:
        """Where the ingress' port 443 listens on this machine."""
        told = json.loads((self.folder / ".nerv" / "published.json").read_text())
        host, port = told["192.168.1.111"]["443"]
        return host, port

    def password(self) -> str:
        """Of the dashboards."""
        text = (self.folder.parent / "config" / "nerv" / self.folder.name / "credentials").read_text()
        return text.strip().splitlines()[-1].partition(":")[2].strip()

    def curl(self, name: str, *more: str) -> str:
        """The status code of a dashboard."""
        host, port = self.published()
        done = self.run(
            "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
            "--cacert", str(self.folder / ".nerv" / "ca.crt"),
            "--connect-to", f"{name}.nerv.local:{port}:{host}:{port}",
            *more, f"https://{name}.nerv.local:{port}/",
        )  # fmt: skip
        return done.stdout

    def pid(self) -> int:
        return int((self.folder / ".nerv" / "lock").read_text())


def eventually(what: Callable[[], Any], why: str, timeout: float = PATIENCE) -> Any:
    """The first true value of `what`; a client's view of asynchronous work can only be asked again and again."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"still waiting for {why} after {timeout:.0f} s; last: {value!r}")


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes whose arguments or environment name `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if entry.name != str(os.getpid()) and (str(folder) in command or f"NERV_TEST_FOLDER={folder}\0" in environment):
            found.append(f"{entry.name}: {command}")
    return found


@contextmanager
def up(home: Home, *options: str) -> Iterator[Home]:
    """A platform running in the background, taken down at the end."""
    try:
        # a start that takes too long has left a platform behind as well
        home.nerv("up", str(home.folder), "--detach", "--offline", *options, timeout=START_PATIENCE)
        yield home
    finally:
        home.nerv("down", code=None)
