"""The kubelet API: who may ask, logs, exec, port-forward, numbers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.nodes import (
    DRIVERS,
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
    code, text = await kubelet_get(world, "/exec/default/pretend/main?command=ls")
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
