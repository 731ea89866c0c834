"""How fast the controllers are: a Deployment of 100 replicas from its creation to Available, in wall and CPU time.

    .venv/bin/python -m bench.controllers        (from the repository, PYTHONPATH=src:.)

The API server (durable store), all controllers and a kubelet that only patches status share one process. Prints
medians of five runs, the CPU that the idle cluster needs, and the resident memory.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.controllers import World, cluster, workload

from nerv.kube.objects import Object
from nerv.kube.resources import DEPLOYMENTS, PODS

REPLICAS = 100
RUNS = 5
IDLE_SECONDS = 10.0


def is_up(obj: Object) -> bool:
    """Whether all replicas are available."""
    return obj.get("status", {}).get("availableReplicas") == REPLICAS


async def one_run(world: World, number: int) -> tuple[float, float]:
    """Wall and CPU seconds until a new Deployment is available; it is deleted afterwards."""
    name = f"web-{number}"
    wall, cpu = time.perf_counter(), time.process_time()
    await world.create(DEPLOYMENTS, workload("Deployment", name, replicas=REPLICAS))
    await world.wait(DEPLOYMENTS, name, is_up)
    took = time.perf_counter() - wall, time.process_time() - cpu
    await world.delete(DEPLOYMENTS, name)
    await world.count(PODS, 0)
    await world.settle()
    return took


def resident_megabytes() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def main() -> None:
    """Run and print."""
    with tempfile.TemporaryDirectory() as folder:
        async with cluster(Path(folder)) as world:
            await world.node("n1", cpu="1000", pods=1000)
            took = [await one_run(world, number) for number in range(RUNS)]
            wall = statistics.median(each[0] for each in took)
            cpu = statistics.median(each[1] for each in took)
            before = time.process_time()
            await asyncio.sleep(IDLE_SECONDS)
            idle = (time.process_time() - before) / IDLE_SECONDS * 100
            print(f"Deployment of {REPLICAS} replicas to Available: {wall:.2f} s wall, {cpu:.2f} s CPU (n={RUNS})")
            print(f"idle cluster: {idle:.2f} % of one core; resident {resident_megabytes():.0f} MB; pid {os.getpid()}")


if __name__ == "__main__":
    asyncio.run(main())
