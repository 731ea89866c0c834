"""The real kubectl against pods that are real processes: through the API server to the kubelet API and into the pod."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from tests.support.apiserver import kubeconfig
from tests.support.nodes import (
    DRIVERS,
    PATIENCE,
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


async def kubectl(
    world: World, *arguments: str, input: bytes = b"", check: bool = True, env: Mapping[str, str] | None = None
) -> process.Completed:
    return await process.run(command(world, *arguments), input=input, timeout=30, check=check, env=env)


async def test_logs_and_exec(world: World) -> None:
    await world.create(PODS, pod("main", "sh", "-c", "echo begun; exec sleep 1000"))
    await world.wait(PODS, "main", is_ready)

    async def logged() -> bool:
        return (await kubectl(world, "logs", "main", check=False)).stdout == "begun\n"

    await eventually(logged)
    done = await kubectl(world, "exec", "-i", "main", "--", "sh", "-c", "cat; exit 7", input=b"typed", check=False)
    assert (done.stdout, done.code) == ("typed", 7)


TRANSPORTS = pytest.mark.parametrize(
    "transport",
    [
        pytest.param({}, id="websocket"),
        pytest.param({"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}, id="spdy"),
    ],
)
"""What kubectl has spoken since 1.31, and before."""


@TRANSPORTS
async def test_attach_types_to_the_containers_own_program(world: World, transport: dict[str, str]) -> None:
    script = 'while read x; do echo "got $x"; echo "bad $x" >&2; done; echo closed; exit 4'
    container = {"stdin": True, "stdinOnce": True}
    await world.create(PODS, pod("main", "sh", "-c", script, container=container, restartPolicy="Never"))
    await world.wait(PODS, "main", is_ready)
    done = await kubectl(world, "attach", "-i", "main", input=b"hello\n", env=transport)
    assert done.stdout == "got hello\nclosed\n"
    assert "bad hello\n" in done.stderr
    ended = await world.wait(PODS, "main", lambda obj: obj["status"]["phase"] == "Failed")
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4


@TRANSPORTS
async def test_attach_shows_what_is_printed_and_leaves_the_program_alone(
    world: World, transport: dict[str, str]
) -> None:
    await world.create(PODS, pod("main", "sh", "-c", "while sleep 0.1; do echo tick; done"))
    found = await world.wait(PODS, "main", is_ready)
    child = await process.start(command(world, "attach", "main"), env=transport, stdout=asyncio.subprocess.PIPE)
    assert child.handle.stdout is not None
    try:
        lines = [await asyncio.wait_for(child.handle.stdout.readline(), PATIENCE) for _ in range(2)]
    finally:
        await child.stop()
    assert lines == [b"tick\n", b"tick\n"]
    seen = (await kubectl(world, "logs", "main")).stdout.count("tick")

    async def more() -> bool:
        return (await kubectl(world, "logs", "main")).stdout.count("tick") > seen

    await eventually(more, "more output of a program that nobody watches")
    now = await world.client.get(PODS, "main", "default")
    assert now["status"]["containerStatuses"] == found["status"]["containerStatuses"]


async def test_exec_into_a_simulated_pod_is_refused_with_the_reason(world: World) -> None:
    await world.create(PODS, pod("pretend", "example/unknown"))
    await world.wait(PODS, "pretend", is_ready)
    for arguments in (("exec", "pretend", "--", "ls"), ("attach", "pretend")):
        done = await kubectl(world, *arguments, check=False)
        assert done.code == 1
        assert "is simulated by NERV: no program runs in it" in done.stderr
    assert "is simulated on this machine" in (await kubectl(world, "logs", "pretend")).stdout


async def test_port_forward(world: World) -> None:
    probe = {"readinessProbe": {"tcpSocket": {"port": 80}}}
    await world.create(PODS, pod("web", "web", "--listen=:80", "--directory", "/etc", container=probe))
    await world.wait(PODS, "web", is_ready)
    child = await process.start(command(world, "port-forward", "web", ":80"), stdout=asyncio.subprocess.PIPE)
    assert child.handle.stdout is not None
    said = await asyncio.wait_for(child.handle.stdout.readline(), PATIENCE)  # Forwarding from 127.0.0.1:PORT -> 80
    port = int(said.split()[2].rpartition(b":")[2])

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
