"""The main job in figures: up, restart, commit to applied, memory, idle load.

    .venv/bin/python bench/main_job.py [--runs N] [--set-up]

Prints the median of N runs (default 3) with the spread, the goal, and a named peer's figure. The peers need a container
runtime; where `k3d` or `kind` is on PATH with a docker that answers, time to a ready node is measured in the same run,
else the figures are those of the minikube project's time-to-k8s benchmark v1.36.0, cited and marked so. `--set-up`
also makes a fresh clone and its .venv (from the package index; takes a minute or two). Byte code is cached as on a
user's machine, whatever PYTHONDONTWRITEBYTECODE says here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tests.support.commands import Home, eventually  # noqa: E402  the checkout is not a package

from nerv.kube.client import Client  # noqa: E402
from nerv.kube.objects import Object  # noqa: E402
from nerv.kube.resources import DEPLOYMENTS, Resource  # noqa: E402
from nerv.operations import session  # noqa: E402
from nerv.operations.collect import GIT_REPOSITORIES  # noqa: E402

_SETTLE_SECONDS = 5.0
_IDLE_SECONDS = 20.0
_PATIENCE = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")
_REQUESTED = "reconcile.fluxcd.io/requestedAt"
_CITED = "k3d 5.8.3 19.9 s, kind 0.29 33.0 s, minikube 1.36 50.8 s to one application (cited, not measured here)"


@dataclass
class Figures:
    """What was measured, by name, in the order of the first run."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, value: float) -> None:
        self.values[name].append(value)

    def show(self, name: str, unit: str, goal: float | None = None, peer: str = "") -> None:
        values = self.values.get(name)
        if not values:
            return
        median = statistics.median(values)
        aim = "-" if goal is None else f"<= {goal:g} {unit}"
        verdict = "" if goal is None else ("met" if median <= goal else "MISSED")
        spread = f"{min(values):.2f}..{max(values):.2f}"
        print(f"{name:44} {median:8.2f} {unit:4} {spread:>16}  {aim:>10} {verdict:7} {peer}", flush=True)


@dataclass
class Running:
    """A `nerv up` in the foreground that has said that it is healthy."""

    home: Home
    child: subprocess.Popen[bytes]
    said: Path

    def end(self, number: signal.Signals) -> None:
        self.child.send_signal(number)
        self.child.wait(_PATIENCE)


def up(home: Home) -> tuple[Running, float]:
    """Start it; with the seconds until it has said that everything is healthy."""
    said = home.folder.parent / "said"
    with said.open("wb") as talk:
        begun = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "nerv", "up", str(home.folder), "--offline"],
            cwd=home.folder.parent,
            env=home.environment,
            stdout=talk,
            stderr=talk,
        )
    while b"is healthy after" not in said.read_bytes():
        if child.poll() is not None or time.perf_counter() - begun > _PATIENCE:
            child.kill()
            sys.exit(f"`nerv up` did not become healthy:\n{said.read_text()}")
        time.sleep(0.01)
    return Running(home, child, said), time.perf_counter() - begun


def family(pid: int) -> list[int]:
    """A process and all of its descendants."""
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        found.append(each)
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            waiting += map(int, task.read_text().split())
    return found


def resident(pid: int) -> float:
    """VmRSS in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure_memory(running: Running, figures: Figures, when: str) -> None:
    time.sleep(_SETTLE_SECONDS)
    pid = running.home.pid()
    figures.add(f"memory of NERV after {when}", resident(pid))
    figures.add(f"memory of the whole family after {when}", sum(map(resident, family(pid))))


def measure_idle(running: Running, figures: Figures) -> None:
    """Percent of one core, while nobody asks for anything."""
    pid = running.home.pid()
    members = family(pid)
    before = {each: processor_seconds(each) for each in members}
    time.sleep(_IDLE_SECONDS)
    used = {each: processor_seconds(each) - before[each] for each in members}
    figures.add("idle load of NERV", 100 * used[pid] / _IDLE_SECONDS)
    figures.add("idle load of the whole family", 100 * sum(used.values()) / _IDLE_SECONDS)


class Edits:
    """Commits to the platform's repository, seen through watches of the API."""

    def __init__(self, home: Home, client: Client) -> None:
        self._home = home
        self._client = client

    async def commit(self, path: str, old: str, new: str) -> tuple[asyncio.Task[float], float]:
        """Change a file and commit it. Returns the pending notice and the time of the branch's new head."""
        file = self._home.folder / path
        text = file.read_text()
        assert old in text, f"{file} does not contain {old!r}"
        source = await self._client.get(GIT_REPOSITORIES, "flux-system", "flux-system")
        before = _requested(source)
        noticed = asyncio.create_task(
            self._seen(GIT_REPOSITORIES, "flux-system", source, lambda obj: _requested(obj) != before)
        )
        await asyncio.sleep(0.3)  # the watch is open and what the last commit began is done
        file.write_text(text.replace(old, new))
        await asyncio.to_thread(self._home.commit, "bench")
        head = self._home.folder / ".git" / "refs" / "heads" / "main"
        return noticed, head.stat().st_mtime

    async def _seen(self, resource: Resource, namespace: str, obj: Object, true) -> float:  # type: ignore[no-untyped-def]
        """The wall clock's time of the first event for which `true` holds."""
        name, version = obj["metadata"]["name"], obj["metadata"]["resourceVersion"]
        selector = f"metadata.name={name}"
        async for event in self._client.watch(resource, namespace, resource_version=version, field_selector=selector):
            if event.type == "MODIFIED" and true(event.object):
                return time.time()
        raise RuntimeError(f"the watch of {name} ended")

    async def measure(
        self, figures: Figures, what: str, deployment: tuple[str, str], edit: tuple[str, str, str]
    ) -> None:
        """Noticed and applied, for an edit and for taking it back."""
        path, old, new = edit
        for before, after in ((old, new), (new, old)):
            live = await self._client.get(DEPLOYMENTS, deployment[1], deployment[0])
            generation = live["metadata"]["generation"]
            applied = asyncio.create_task(
                self._seen(
                    DEPLOYMENTS, deployment[0], live, lambda obj, g=generation: obj["metadata"]["generation"] > g
                )
            )
            noticed, begun = await self.commit(path, before, after)
            async with asyncio.timeout(_PATIENCE):
                figures.add("commit noticed", await noticed - begun)
                figures.add(f"commit applied: {what}", await applied - begun)
            await asyncio.to_thread(eventually, lambda: self._home.status()["healthy"], "health after a commit")


def _requested(obj: Object) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(_REQUESTED, ""))


async def measure_commits(home: Home, figures: Figures) -> None:
    async with session.connect(home.folder / ".nerv" / "kubeconfig") as client:
        edits = Edits(home, client)
        console = ("apps-config/console/deployment.yaml", "replicas: 1", "replicas: 2")
        await edits.measure(figures, "a manifest", ("nerv-system", "nerv-console"), console)
        traefik = ("apps/traefik/release.yaml", "replicas: 1", "replicas: 2")
        await edits.measure(figures, "a chart's value", ("traefik-system", "traefik"), traefik)


def measure_version(figures: Figures, environment: dict[str, str]) -> None:
    """Through the launcher, as users type it."""
    for _ in range(6):
        begun = time.perf_counter()
        subprocess.run([CHECKOUT / "nerv", "--version"], env=environment, check=True, stdout=subprocess.DEVNULL)
        figures.add("nerv --version, warm", time.perf_counter() - begun)
    figures.values["nerv --version, warm"].pop(0)


def measure_set_up(figures: Figures, base: Path, environment: dict[str, str]) -> None:
    """A fresh clone and its first command."""
    clone = base / "clone"
    subprocess.run(["git", "clone", "-q", str(CHECKOUT), str(clone)], check=True)
    begun = time.perf_counter()
    subprocess.run([clone / "nerv", "--version"], env=environment, check=True, stdout=subprocess.DEVNULL)
    figures.add("set-up of a fresh clone", time.perf_counter() - begun)
    entries = (path.lstat() for path in (clone / ".venv").rglob("*"))
    blocks = {(entry.st_dev, entry.st_ino): entry.st_blocks for entry in entries}
    figures.add("size of .venv", sum(blocks.values()) * 512 / 1e6)


def measure_peers(runs: int) -> str:
    """What stands beside our own `up`: measured where a peer can run, else cited."""
    commands = {
        "k3d": (["k3d", "cluster", "create", "nerv-bench", "--wait"], ["k3d", "cluster", "delete", "nerv-bench"]),
        "kind": (
            ["kind", "create", "cluster", "--name", "nerv-bench", "--wait", "5m"],
            ["kind", "delete", "cluster", "--name", "nerv-bench"],
        ),
    }
    docker = shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False)
    if not docker or docker.returncode:
        return _CITED
    told = []
    for name, (create, delete) in commands.items():
        if shutil.which(name):
            seconds = []
            for _ in range(runs):
                begun = time.perf_counter()
                subprocess.run(create, check=True, capture_output=True)
                seconds.append(time.perf_counter() - begun)
                subprocess.run(delete, check=True, capture_output=True)
            told.append(f"{name} {statistics.median(seconds):.1f} s to a ready node (measured)")
    return ", ".join(told) or _CITED


@contextmanager
def fresh_home() -> Iterator[Home]:
    """A platform of its own, with a cached byte code as on a user's machine."""
    with tempfile.TemporaryDirectory(prefix="nerv-bench-", dir="/tmp") as base:
        home = Home.at(Path(base))
        environment = {name: value for name, value in home.environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
        try:
            yield replace(home, environment=environment)
        finally:
            shutil.rmtree(environment["XDG_RUNTIME_DIR"], ignore_errors=True)


def one_run(home: Home, figures: Figures) -> None:
    """From an empty state to healthy, commits, death, restart, a stop and a start."""
    home.nerv("reset", "--yes", code=None)
    running, seconds = up(home)
    figures.add("first up, from an empty .nerv", seconds)
    try:
        measure_memory(running, figures, "first up")
        measure_idle(running, figures)
        figures.add("memory of the whole family, idle", sum(map(resident, family(home.pid()))))
        asyncio.run(measure_commits(home, figures))
        running.end(signal.SIGKILL)
        running, seconds = up(home)
        figures.add("restart after kill -9", seconds)
        measure_memory(running, figures, "restart")
        running.end(signal.SIGTERM)
        running, seconds = up(home)
        figures.add("up of an existing platform", seconds)
    finally:
        running.end(signal.SIGTERM)


def show(figures: Figures, peer: str) -> None:
    print(f"{'':44} {'median':>8} {'':4} {'least..most':>16}  {'goal':>10}")
    figures.show("first up, from an empty .nerv", "s", peer=peer)
    figures.show("up of an existing platform", "s", 5, peer)
    figures.show("restart after kill -9", "s", 3)
    figures.show("commit noticed", "s", 0.2, "Flux polls each minute where no webhook tells it")
    figures.show("commit applied: a manifest", "s", 1)
    figures.show("commit applied: a chart's value", "s", 1)
    figures.show("memory of NERV after first up", "MB", 200, "K3s server with workload 1,596 MB (K3s docs, cited)")
    figures.show("memory of NERV after restart", "MB", 200)
    figures.show("memory of the whole family after first up", "MB")
    figures.show("memory of the whole family after restart", "MB")
    figures.show("memory of the whole family, idle", "MB")
    figures.show("idle load of NERV", "%", peer="of one core; K3s server with workload 6 % (K3s docs, cited)")
    figures.show("idle load of the whole family", "%")
    figures.show("nerv --version, warm", "s", 0.3)
    figures.show("set-up of a fresh clone", "s", 90)
    figures.show("size of .venv", "MB", 750)


def main() -> None:
    parser = argparse.ArgumentParser(description="the main job in figures")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--set-up", action="store_true", help="also a fresh clone and its .venv")
    arguments = parser.parse_args()
    figures = Figures()
    with fresh_home() as home:
        home.nerv("init", str(home.folder))
        for _ in range(arguments.runs):
            one_run(home, figures)
        measure_version(figures, home.environment)
        if arguments.set_up:
            measure_set_up(figures, home.folder.parent, home.environment)
    show(figures, measure_peers(arguments.runs))


if __name__ == "__main__":
    main()
