"""What a pod sees of the kernel in /proc and /sys."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.support.nodes import needs_namespaces, network, proxy_network

from nerv import process
from nerv.network.driver import PodNetwork
from nerv.node import processes
from nerv.node.processes import ContainerSpec

pytestmark = needs_namespaces

READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
MASKED = ("/proc/acpi", "/proc/keys", "/proc/kcore", "/proc/timer_list", "/sys/firmware")
_LOOK = f"""
import json, os
from pathlib import Path
lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
mounts = {{line[4]: line[5].split(",") for line in lines}}
seen = {{}}
for path in {MASKED!r}:
    if os.path.isdir(path):
        seen[path] = os.listdir(path)
    elif os.path.exists(path):
        seen[path] = open(path, "rb").read(1).decode()
def written(path):
    try:
        Path(path).write_text("0")
    except OSError as error:
        return error.strerror
    return ""
print(json.dumps({{"mounts": mounts, "seen": seen, "own": written("/proc/self/oom_score_adj"), "user": os.getuid()}}))
"""


async def _look(pod: PodNetwork, folder: Path) -> dict[str, Any]:
    spec = ContainerSpec(pod, "p", (sys.executable, "-c", _LOOK), {}, folder / "root", user=1000, group=1000)
    run = await processes.start(spec)
    assert run.stdout is not None
    assert run.stderr is not None
    told, said = await asyncio.gather(run.stdout.read(), run.stderr.read())
    assert await run.wait() == 0, said.decode()
    return dict(json.loads(told))


def _assert_masked(told: dict[str, Any]) -> None:
    here = [path for path in MASKED if Path(path).exists()]
    assert here
    assert sorted(told["seen"]) == sorted(here)
    assert [path for path, content in told["seen"].items() if content] == []
    assert [path for path in here if path not in told["mounts"]] == []


async def test_proc_is_masked_as_in_a_container(tmp_path: Path) -> None:
    async with network() as net:
        told = await _look(await net.add_pod("p", "10.42.0.5"), tmp_path)
    _assert_masked(told)
    writable = [path for path in READ_ONLY if Path(path).exists() and "ro" not in told["mounts"].get(path, ())]
    assert writable == []
    assert (told["own"], told["user"]) == ("", 1000)


async def test_without_a_network_namespace_too(tmp_path: Path) -> None:
    async with proxy_network("user") as net:
        told = await _look(await net.add_pod("p", "10.42.0.5"), tmp_path)
    _assert_masked(told)
    assert "ro" in told["mounts"]["/proc/sys"]
    assert (told["own"], told["user"]) == ("", 1000)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare (util-linux): no machine with a masked /proc")
async def test_where_no_new_proc_is_allowed_that_of_the_machine_is_read_only() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nerv-"))
    try:
        masked = 'mount -t tmpfs none /proc/fs && exec "$0" -c "$1" "$2"'
        command = ["unshare", "-Urm", "sh", "-c", masked, sys.executable, _NESTED, str(folder)]
        told = json.loads((await process.run(command)).stdout)
    finally:
        shutil.rmtree(folder)
    _assert_masked(told)
    assert "ro" in told["mounts"]["/proc"]
    assert (told["own"], told["user"]) == ("Read-only file system", 1000)


_NESTED = """
import asyncio, json, sys
from pathlib import Path
from tests.node.test_rootfs import _look
from nerv.network.driver import NetworkConfig
from nerv.network.proxy import ProxyNetwork

async def main():
    folder = Path(sys.argv[1])
    net = ProxyNetwork(NetworkConfig(folder / "run"), "user")
    await net.start()
    print(json.dumps(await _look(await net.add_pod("p", "10.42.0.5"), folder)))
    await net.stop()

asyncio.run(main())
"""
