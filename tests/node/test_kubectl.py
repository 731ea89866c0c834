"""The real kubectl against pods that are real processes: through the API server to the kubelet API and into the pod."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.apiserver import kubeconfig
from tests.support.nodes import (
    DRIVERS,
    World,
    cluster,
    eventually,
    is_ready,
    kubelet_certificates,
    listening_server,
    pod,
    shell,
)

from nerv import process
from nerv.kube.resources import PODS


@pytest.fixture(params=DRIVERS)
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    programs = {"sh": shell(), "web": listening_server()}
    async with cluster(tmp_path, programs, node=False, driver=request.param) as made:
        await made.start_node(**kubelet_certificates())
        yield made


def command(world: World, *arguments: str) -> list[str]:
    assert world.server is not None
    config = kubeconfig(world.server, world.folder)
    cache = world.folder / "cache"
    return [
        str(Path(sys.executable).parent / "kubectl"),
        f"--kubeconfig={config}",
        f"--cache-dir={cache}",
        *arguments,
    ]


async def kubectl(world: World, *arguments: str, input: bytes = b"", check: bool = True) -> process.Completed:
    return await process.run(command(world, *arguments), input=input, timeout=30, check=check)


async def test_logs_and_exec(world: World) -> None:
    await world.create(PODS, pod("main", "sh", "-c", "echo begun; exec sleep 1000"))
    await world.wait(PODS, "main", is_ready)

    async def logged() -> bool:
        return (await kubectl(world, "logs", "main", check=False)).stdout == "begun\n"

    await eventually(logged)
    done = await kubectl(world, "exec", "-i", "main", "--", "sh", "-c", "cat; exit 7", input=b"typed", check=False)
    assert (done.stdout, done.code) == ("typed", 7)


async def test_exec_into_a_simulated_pod_is_refused_with_the_reason(world: World) -> None:
    await world.create(PODS, pod("pretend", "example/unknown"))
    await world.wait(PODS, "pretend", is_ready)
    done = await kubectl(world, "exec", "pretend", "--", "ls", check=False)
    assert done.code == 1
    assert "is simulated by NERV: no program runs in it" in done.stderr
    assert "is simulated on this machine" in (await kubectl(world, "logs", "pretend")).stdout


async def test_port_forward(world: World) -> None:
    probe = {"readinessProbe": {"tcpSocket": {"port": 80}}}
    await world.create(PODS, pod("web", "web", "--listen=:80", "--directory", "/etc", container=probe))
    await world.wait(PODS, "web", is_ready)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = await process.start(command(world, "port-forward", "web", f"{port}:80"))

    async def fetched() -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return b""
        try:
            writer.write(b"GET /passwd HTTP/1.0\r\n\r\n")
            answer = await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
        return answer if b"200 OK" in answer else b""

    try:
        assert b"root:" in await eventually(fetched)
    finally:
        await child.stop()
