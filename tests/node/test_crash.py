"""kill -9 of NERV leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.support.nodes import eventually, needs_namespaces

from nerv import process

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from nerv.network.namespaces import NamespaceNetwork, NetworkConfig
from nerv.node import processes
from nerv.node.processes import ContainerSpec

async def main():
    folder = Path(sys.argv[1])
    net = NamespaceNetwork(NetworkConfig(folder / "run"))
    await net.start()
    pod = await net.add_pod("p", "10.42.0.5")
    command = ("/bin/sh", "-c", "trap '' TERM HUP; sleep 1000 & sleep 1000")
    run = await processes.start(ContainerSpec(pod, "p", command, {}, folder / "root"))
    print(net.pid, run.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


_ALONE = """
import asyncio, sys
from pathlib import Path
from nerv.network.driver import NetworkConfig
from nerv.network.proxy import ProxyNetwork
from nerv.node import processes
from nerv.node.processes import ContainerSpec

async def main():
    folder = Path(sys.argv[1])
    net = ProxyNetwork(NetworkConfig(folder / "run"), "none")
    await net.start()
    pod = await net.add_pod("p", "10.42.0.5")
    sleeping = "sleep 1000 & sleep 1000"
    run = await processes.start(ContainerSpec(pod, "p", ("/bin/sh", "-c", sleeping), {}, folder / "root"))
    more = await processes.enter(run, ("/bin/sh", "-c", sleeping))
    print(run.pid, more.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@needs_namespaces
async def test_every_process_of_a_pod_dies_with_nerv() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nerv-"))
    try:
        child = await process.start([sys.executable, "-c", _PROGRAM, str(folder)], stdout=asyncio.subprocess.PIPE)
        assert child.handle.stdout is not None
        relay, first = (int(word) for word in (await child.handle.stdout.readline()).split())
        children = Path(f"/proc/{first}/task/{first}/children")
        found = await eventually(lambda: len(children.read_text().split()) == 2 and children.read_text().split())
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        for pid in (relay, first, *found):
            await eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), f"the end of process {pid}")
    finally:
        shutil.rmtree(folder)


async def test_without_isolation_too_nothing_is_left() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nerv-"))
    left: list[int] = []
    try:
        child = await process.start([sys.executable, "-c", _ALONE, str(folder)], stdout=asyncio.subprocess.PIPE)
        assert child.handle.stdout is not None
        firsts = [int(word) for word in (await child.handle.stdout.readline()).split()]
        left = [*firsts]
        for first in firsts:
            children = Path(f"/proc/{first}/task/{first}/children")
            found = await eventually(lambda file=children: len(file.read_text().split()) == 2 and file.read_text())
            left += map(int, found.split())
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        for pid in tuple(left):
            await eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), f"the end of process {pid} of {left}")
            left.remove(pid)
    finally:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder)
