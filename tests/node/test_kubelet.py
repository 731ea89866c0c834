"""The kubelet API: who may ask, logs, exec, attach, port-forward, numbers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.nodes import (
    DRIVERS,
    PATIENCE,
    WebSocketClient,
    World,
    cluster,
    eventually,
    is_ready,
    kubelet_certificates,
    kubelet_get,
    listening_server,
    pod,
    shell,
)

from nerv.kube.resources import CONFIG_MAPS, PODS


@pytest.fixture(params=DRIVERS)
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    programs = {"sh": shell(), "web": listening_server()}
    async with cluster(tmp_path, programs, node=False, driver=request.param) as made:
        await made.start_node(**kubelet_certificates())
        yield made


async def _running(world: World, script: str, name: str = "main") -> None:
    await world.create(PODS, pod(name, "sh", "-c", script))
    await world.wait(PODS, name, is_ready)


async def test_only_the_api_server_may_ask(world: World) -> None:
    assert await kubelet_get(world, "/healthz", None) == (200, "ok")
    assert (await kubelet_get(world, "/pods", None))[0] == 401
    assert (await kubelet_get(world, "/pods", ("system:authenticated",)))[0] == 403
    assert (await kubelet_get(world, "/pods"))[0] == 200
    assert (await kubelet_get(world, "/nothing"))[0] == 404


async def test_logs_come_with_tail_and_timestamps(world: World) -> None:
    await _running(world, "echo one; echo two >&2; printf three; exec sleep 1000")
    path = "/containerLogs/default/main/main"

    async def complete() -> bool:
        return (await kubelet_get(world, path))[1].splitlines()[:2] == ["one", "two"]

    await eventually(complete)
    assert (await kubelet_get(world, f"{path}?tailLines=1"))[1] == "two\n"
    assert (await kubelet_get(world, f"{path}?limitBytes=2"))[1] == "on"
    moment, _, text = (await kubelet_get(world, f"{path}?timestamps=true&tailLines=1"))[1].partition(" ")
    assert text == "two\n"
    assert moment.endswith("Z")
    code, text = await kubelet_get(world, f"{path}?previous=true")
    assert code == 400
    assert json.loads(text)["message"] == 'previous terminated container "main" in pod "main" not found'


async def test_following_a_log_ends_with_the_container(world: World) -> None:
    await world.create(PODS, pod("once", "sh", "-c", "echo begun; sleep 0.3; echo ended", restartPolicy="Never"))
    await world.wait(PODS, "once", lambda obj: obj["status"]["phase"] == "Running")
    code, text = await kubelet_get(world, "/containerLogs/default/once/main?follow=true")
    assert (code, text) == (200, "begun\nended\n")


async def test_exec_joins_input_output_and_exit_code(world: World) -> None:
    await _running(world, "exec sleep 1000")
    path = "/exec/default/main/main?command=sh&command=-c&command=read+x;+echo+got+$x;+echo+bad+>%262;+exit+3"
    socket = await WebSocketClient.open(world, f"{path}&input=1&output=1&error=1", "v5.channel.k8s.io")
    socket.send(b"\x00hello\n")
    socket.send(b"\xff\x00")
    found = await socket.channels()
    assert found[1] == b"got hello\n"
    assert found[2] == b"bad\n"
    status = json.loads(found[3])
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_exec_has_a_terminal_of_the_size_asked_for(world: World) -> None:
    await _running(world, "exec sleep 1000")
    path = "/exec/default/main/main?command=sh&command=-c&command=read+x;+stty+size&tty=1&input=1&output=1"
    socket = await WebSocketClient.open(world, path, "v4.channel.k8s.io")
    socket.send(b'\x04{"Width":123,"Height":45}')
    socket.send(b"\x00\n")
    found = await socket.channels()
    assert b"45 123" in found[1]
    assert json.loads(found[3])["status"] == "Success"


_READER = 'while read x; do case $x in end) exit 3;; esac; echo "got $x"; echo "bad $x" >&2; done; echo closed'


async def _attached(world: World, name: str, protocol: str = "v5.channel.k8s.io", **container: Any) -> WebSocketClient:
    """A client of a pod that reads lines; the pod is made where it is not there."""
    if container:
        await world.create(PODS, pod(name, "sh", "-c", _READER, container=container))
        await world.wait(PODS, name, is_ready)
    return await WebSocketClient.open(world, f"/attach/default/{name}/main?input=1&output=1&error=1", protocol)


async def _said(socket: WebSocketClient, first: bytes, second: bytes) -> None:
    """Wait until the program has printed the one to its output and the other to its error output."""
    found = {1: b"", 2: b""}
    async with asyncio.timeout(PATIENCE):
        async for message in socket.messages():
            found[message[0]] += message[1:]
            if (found[1], found[2]) == (first, second):
                return
    raise AssertionError(f"closed after {found}")


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
async def test_attach_joins_the_containers_own_program_which_reads_on_for_the_next(world: World, protocol: str) -> None:
    socket = await _attached(world, "reader", protocol, stdin=True)
    socket.send(b"\x00hello\n")
    await _said(socket, b"got hello\n", b"bad hello\n")
    if protocol.startswith("v5"):
        socket.send(b"\xff\x00")
    socket.writer.close()

    second = await _attached(world, "reader", protocol)
    second.send(b"\x00again\n")
    await _said(second, b"got again\n", b"bad again\n")
    second.send(b"\x00end\n")
    found = await second.channels()
    assert list(found) == [3]
    assert json.loads(found[3])["status"] == "Success"  # of the session; the exit code is the pod's to say
    ended = await world.wait(PODS, "reader", lambda obj: obj["status"]["containerStatuses"][0].get("lastState"))
    assert ended["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3


async def test_a_program_that_reads_once_reads_to_the_end_of_the_first_client(world: World) -> None:
    socket = await _attached(world, "once", stdin=True, stdinOnce=True)
    socket.send(b"\x00hello\n")
    socket.send(b"\xff\x00")
    found = await socket.channels()
    assert (found[1], found[2]) == (b"got hello\nclosed\n", b"bad hello\n")


async def test_attach_with_a_terminal_has_one_stream_for_all_that_is_printed(world: World) -> None:
    await _attached(world, "reader", stdin=True)
    path = "/attach/default/reader/main?input=1&output=1&tty=1"
    socket = await WebSocketClient.open(world, path, "v5.channel.k8s.io")
    socket.send(b'\x04{"Width":123,"Height":45}')
    socket.send(b"\x00hello\n")
    socket.send(b"\x00end\n")
    found = await socket.channels()
    assert sorted(found) == [1, 3]
    assert sorted(found[1].splitlines()) == [b"bad hello", b"got hello"]


async def test_a_client_that_goes_away_takes_nothing_from_the_log(world: World) -> None:
    socket = await _attached(world, "reader", stdin=True)
    socket.send(b"\x00hello\n")
    await _said(socket, b"got hello\n", b"bad hello\n")
    socket.writer.close()
    second = await _attached(world, "reader")
    second.send(b"\x00more\n")
    await _said(second, b"got more\n", b"bad more\n")
    text = (await kubelet_get(world, "/containerLogs/default/reader/main"))[1]
    assert sorted(text.splitlines()) == ["bad hello", "bad more", "got hello", "got more"]


async def test_a_program_that_is_not_there_is_an_error_in_the_status(world: World) -> None:
    await _running(world, "exec sleep 1000")
    socket = await WebSocketClient.open(world, "/exec/default/main/main?command=nowhere&output=1", "v5.channel.k8s.io")
    status = json.loads((await socket.channels())[3])
    assert status["status"] == "Failure"
    assert 'exec: "nowhere": executable file not found in $PATH' in status["message"]


async def test_simulated_containers_say_so(world: World) -> None:
    await world.create(PODS, pod("pretend", "example/unknown:v1"))
    await world.wait(PODS, "pretend", is_ready)
    assert "is simulated on this machine" in (await kubelet_get(world, "/containerLogs/default/pretend/main"))[1]
    for path in ("/exec/default/pretend/main?command=ls", "/attach/default/pretend/main?output=1"):
        code, text = await kubelet_get(world, path)
        assert code == 400
        assert json.loads(text)["message"] == (
            'container "main" in pod "pretend" is simulated by NERV: no program runs in it'
        )


async def test_ports_are_forwarded_over_channels(world: World) -> None:
    await world.create(CONFIG_MAPS, {"metadata": {"name": "site"}, "data": {"index.txt": "web\n"}})
    mounted = {"volumeMounts": [{"name": "site", "mountPath": "/srv/site"}]}
    volumes = [{"name": "site", "configMap": {"name": "site"}}]
    arguments = ("--listen=:8080", "--directory=/srv/site")
    await world.create(PODS, pod("web", "web", *arguments, container=mounted, volumes=volumes))
    await world.wait(PODS, "web", is_ready)

    async def forwarded() -> bytes:
        socket = await WebSocketClient.open(world, "/portForward/default/web?port=8080", "v4.channel.k8s.io")
        socket.send(b"\x00GET /index.txt HTTP/1.0\r\n\r\n")
        data = b""
        async for message in socket.messages():
            data += message[1:] if message[0] == 0 else b""
            if (message[0] == 1 and len(message) > 3) or data.endswith(b"web\n"):
                break
        socket.writer.close()
        return data if b"200 OK" in data else b""

    answer = await eventually(forwarded)
    assert answer.startswith((8080).to_bytes(2, "little"))


async def test_numbers_are_those_of_the_processes(world: World) -> None:
    await _running(world, "while true; do :; done", "busy")
    await world.create(PODS, pod("pretend", "example/unknown:v1"))
    await world.wait(PODS, "pretend", is_ready)

    async def measured() -> bool:
        found = json.loads((await kubelet_get(world, "/stats/summary"))[1])
        pods = {each["podRef"]["name"]: each for each in found["pods"]}
        busy, pretend = pods["busy"]["containers"][0], pods["pretend"]["containers"][0]
        assert pretend["cpu"]["usageCoreNanoSeconds"] == 0
        assert busy["memory"]["workingSetBytes"] > 100_000
        return bool(busy["cpu"]["usageCoreNanoSeconds"] > 0 and busy["cpu"]["usageNanoCores"] > 0)

    await eventually(measured)
    text = (await kubelet_get(world, "/metrics/resource"))[1]
    assert 'container_cpu_usage_seconds_total{container="main",namespace="default",pod="busy"}' in text
