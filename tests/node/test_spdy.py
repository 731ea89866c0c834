"""SPDY/3.1, spoken to by a client made of the same parts in reverse."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.nodes import (
    Streams,
    WebSocketClient,
    World,
    cluster,
    is_ready,
    kubelet_certificates,
    kubelet_connection,
    needs_namespaces,
    pod,
    shell,
    web_server,
)

from nerv.kube.resources import PODS
from nerv.node import spdy
from nerv.node.spdy import SpdySession, SpdyStream

_DICTIONARY = Path(spdy.__file__).with_name("spdy.dictionary").read_bytes()


class Client:
    """Writes what a client writes, and takes frames apart."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 8, 0, _DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=_DICTIONARY)
        self._buffer = b""
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.replied: list[int] = []
        self.windows: list[tuple[int, int]] = []
        self.pings: list[bytes] = []

    def open(self, number: int, **headers: str) -> bytes:
        block = struct.pack("!I", len(headers))
        for name, value in headers.items():
            for word in (name, value):
                block += struct.pack("!I", len(word)) + word.encode()
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return self.control(1, struct.pack("!IIH", number, 0, 0) + packed)

    def control(self, kind: int, payload: bytes) -> bytes:
        return struct.pack("!HHI", 0x8003, kind, len(payload)) + payload

    def write(self, number: int, data: bytes, flags: int = 0) -> bytes:
        return struct.pack("!II", number, flags << 24 | len(data)) + data

    def receive(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from("!II", self._buffer)
            size = second & 0xFFFFFF
            if len(self._buffer) < 8 + size:
                return
            payload, self._buffer = self._buffer[8 : 8 + size], self._buffer[8 + size :]
            if not first & 0x80000000:
                self.data[first] = self.data.get(first, b"") + payload
                if second >> 24 & 1:
                    self.ended.add(first)
            elif first & 0xFFFF == 2:
                self.replied.append(struct.unpack_from("!I", payload)[0])
                assert self._inflate.decompress(payload[4:]) == b"\0\0\0\0"
            elif first & 0xFFFF == 9:
                self.windows.append(struct.unpack("!II", payload))
            elif first & 0xFFFF == 6:
                self.pings.append(payload)


async def test_streams_carry_headers_data_and_ends_whatever_way_the_bytes_are_cut() -> None:
    client, opened = Client(), list[SpdyStream]()
    session = SpdySession(client.receive, opened.append)
    sent = client.open(1, streamType="data", port="80") + client.open(3, streamType="error")
    sent += client.write(1, b"hello") + client.write(1, b"", 1) + client.control(6, b"\0\0\0\1")
    for byte in sent:
        session.feed(bytes([byte]))
    assert [stream.headers for stream in opened] == [{"streamtype": "data", "port": "80"}, {"streamtype": "error"}]
    assert client.replied == [1, 3]
    assert client.windows == [(1, 5), (0, 5)]
    assert client.pings == [b"\0\0\0\1"]
    assert [await opened[0].read() for _ in range(3)] == [b"hello", b"", b""]
    opened[0].write(b"x" * 100_000)
    opened[0].close()
    opened[0].write(b"too late")
    assert client.data[1] == b"x" * 100_000
    assert client.ended == {1}
    session.end()
    assert await opened[1].read() == b""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with cluster(tmp_path, {"sh": shell(), "web": web_server()}, node=False) as made:
        await made.start_node(**kubelet_certificates())
        yield made


async def _upgrade(world: World, path: str, protocol: str) -> Streams:
    reader, writer = await kubelet_connection(world)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: kubelet\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n"
        f"X-Stream-Protocol-Version: {protocol}\r\nX-Stream-Protocol-Version: channel.k8s.io\r\n\r\n".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.1 101 "), head
    assert f"X-Stream-Protocol-Version: {protocol}\r\n" in head
    return reader, writer


@needs_namespaces
async def test_exec_over_spdy_as_a_real_api_server_asks_for_it(world: World) -> None:
    await world.create(PODS, pod("main", "sh", "-c", "exec sleep 1000"))
    await world.wait(PODS, "main", is_ready)
    path = "/exec/default/main/main?command=sh&command=-c&command=cat;+exit+5&input=1&output=1&error=1"
    reader, writer = await _upgrade(world, path, "v4.channel.k8s.io")
    client = Client()
    for number, name in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")):
        writer.write(client.open(number, streamtype=name))
    writer.write(client.write(3, b"through and through") + client.write(3, b"", 1))
    while 1 not in client.ended:
        client.receive(await reader.read(1 << 16))
    assert client.data[5] == b"through and through"
    assert json.loads(client.data[1])["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]
    writer.close()


@needs_namespaces
async def test_attach_over_spdy_as_a_real_api_server_asks_for_it(world: World) -> None:
    script = "read x; echo got $x; read x || echo closed >&2; exit 5"
    container = {"stdin": True, "stdinOnce": True}
    await world.create(PODS, pod("main", "sh", "-c", script, container=container, restartPolicy="Never"))
    await world.wait(PODS, "main", is_ready)
    reader, writer = await _upgrade(world, "/attach/default/main/main?input=1&output=1&error=1", "v4.channel.k8s.io")
    client = Client()
    for number, name in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")):
        writer.write(client.open(number, streamtype=name))
    writer.write(client.write(3, b"through and ") + client.write(3, b"through\n") + client.write(3, b"", 1))
    while 1 not in client.ended:
        client.receive(await reader.read(1 << 16))
    assert (client.data[5], client.data[7]) == (b"got through and through\n", b"closed\n")
    assert json.loads(client.data[1]) == {"metadata": {}, "status": "Success"}
    writer.close()


async def _fetch(client: Client, send: asyncio.StreamWriter | WebSocketClient, number: int, port: int) -> None:
    data = client.open(number, streamtype="error", port=str(port), requestid=str(number))
    data += client.open(number + 2, streamtype="data", port=str(port), requestid=str(number))
    data += client.write(number + 2, b"GET /hostname HTTP/1.0\r\n\r\n")
    if isinstance(send, WebSocketClient):
        send.send(data)
    else:
        send.write(data)


@needs_namespaces
async def test_ports_are_forwarded_on_a_connection_and_inside_a_websocket(world: World) -> None:
    await world.create(
        PODS,
        pod("web", "web", "80", "--directory", "/etc", container={"readinessProbe": {"tcpSocket": {"port": 80}}}),
    )
    await world.wait(PODS, "web", is_ready)
    reader, writer = await _upgrade(world, "/portForward/default/web", "portforward.k8s.io")
    client = Client()
    await _fetch(client, writer, 1, 80)
    await _fetch(client, writer, 5, 81)
    while not {1, 3, 5, 7} <= client.ended:
        client.receive(await reader.read(1 << 16))
    assert client.data[3].endswith(b"web\n")
    assert not client.data.get(1)
    assert b"connection refused" in client.data[5]
    writer.close()
    tunnel = await WebSocketClient.open(world, "/portForward/default/web", "SPDY/3.1+portforward.k8s.io")
    client = Client()
    await _fetch(client, tunnel, 1, 80)
    async for message in tunnel.messages():
        client.receive(message)
        if {1, 3} <= client.ended:
            break
    assert client.data[3].endswith(b"web\n")
    tunnel.writer.close()
