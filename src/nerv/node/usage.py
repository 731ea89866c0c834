"""What the programs of a node use: CPU and memory of their processes, as /stats/summary and /metrics/resource say it.

Simulated and embedded containers use nothing of their own, and say so: zero.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from nerv.kube.objects import Object
from nerv.node.runs import ProcessRun
from nerv.node.worker import PodWorker

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


class Usage(NamedTuple):
    """CPU time in nanoseconds since the start, and resident memory in bytes."""

    cpu: int = 0
    memory: int = 0

    def plus(self, other: Usage) -> Usage:
        return Usage(self.cpu + other.cpu, self.memory + other.memory)


def of_process(pid: int) -> Usage:
    """A process and all below it. One that has just ended counts as nothing."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        children = (_PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return Usage()
    # utime, stime and those of children that were waited for; then rss (proc(5), fields 14-17 and 24)
    usage = Usage(sum(int(value) for value in fields[11:15]) * _TICK, int(fields[21]) * _PAGE)
    for child in children:
        usage = usage.plus(of_process(int(child)))
    return usage


class ContainerUsage(NamedTuple):
    """One container's."""

    name: str
    started: str
    usage: Usage


def of_pod(worker: PodWorker) -> list[ContainerUsage]:
    """Of every running container."""
    found = []
    for container in (*worker.init, *worker.containers):
        if container.state.kind != "running":
            continue
        run = container.run
        usage = of_process(run.process.pid) if isinstance(run, ProcessRun) else Usage()
        found.append(ContainerUsage(container.name, container.state.detail["startedAt"], usage))
    return found


class Meter:
    """Remembers the last reading of each container, to say how much CPU is used at present."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, int]] = {}

    def summary(self, node: str, started: str, workers: Iterable[PodWorker], now: str) -> Object:
        """The answer to /stats/summary (stats.k8s.io/v1alpha1)."""
        whole, rate = Usage(), 0
        pods = []
        for worker in workers:
            containers, total, pod_rate = [], Usage(), 0
            metadata = worker.pod["metadata"]
            for each in of_pod(worker):
                speed = self._rate((metadata["uid"], each.name), each.usage.cpu)
                total, pod_rate = total.plus(each.usage), pod_rate + speed
                containers.append({"name": each.name, "startTime": each.started, **_stats(each.usage, speed, now)})
            whole, rate = whole.plus(total), rate + pod_rate
            reference = {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}
            since = worker.pod.get("status", {}).get("startTime", started)
            pods.append(
                {"podRef": reference, "startTime": since, "containers": containers, **_stats(total, pod_rate, now)}
            )
        return {"node": {"nodeName": node, "startTime": started, **_stats(whole, rate, now)}, "pods": pods}

    def _rate(self, key: tuple[str, str], cpu: int) -> int:
        now = time.monotonic_ns()
        before, at = self._last.get(key, (cpu, now))
        self._last[key] = (cpu, now)
        return (cpu - before) * 1_000_000_000 // (now - at) if now > at and cpu > before else 0


def _stats(usage: Usage, rate: int, now: str) -> Object:
    return {
        "cpu": {"time": now, "usageNanoCores": rate, "usageCoreNanoSeconds": usage.cpu},
        "memory": {
            "time": now,
            "usageBytes": usage.memory,
            "workingSetBytes": usage.memory,
            "rssBytes": usage.memory,
        },
    }


def metrics(workers: Iterable[PodWorker]) -> str:
    """The answer to /metrics/resource, in Prometheus' text format."""
    names = ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes")
    pod_names = ("pod_cpu_usage_seconds_total", "pod_memory_working_set_bytes")
    node_names = ("node_cpu_usage_seconds_total", "node_memory_working_set_bytes")
    lines: dict[str, list[str]] = {name: [] for name in (*names, *pod_names, *node_names)}
    whole = Usage()
    for worker in workers:
        metadata = worker.pod["metadata"]
        place = f'namespace="{metadata["namespace"]}",pod="{metadata["name"]}"'
        total = Usage()
        for each in of_pod(worker):
            total = total.plus(each.usage)
            _add(lines, names, f'{{container="{each.name}",{place}}}', each.usage)
        whole = whole.plus(total)
        _add(lines, pod_names, f"{{{place}}}", total)
    _add(lines, node_names, "", whole)
    text = []
    for name, samples in lines.items():
        text += [f"# TYPE {name} {'counter' if name.endswith('total') else 'gauge'}", *samples]
    return "\n".join(text) + "\n"


def _add(lines: dict[str, list[str]], names: tuple[str, str], labels: str, usage: Usage) -> None:
    lines[names[0]].append(f"{names[0]}{labels} {usage.cpu / 1_000_000_000:.9f}")
    lines[names[1]].append(f"{names[1]}{labels} {usage.memory}")
