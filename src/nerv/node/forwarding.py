"""Port-forward: pairs of streams to ports of a pod. SPDY on a connection or inside a WebSocket (kubectl 1.31 and
later), and the older WebSocket channels (two for each port)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from nerv.network.driver import DialError, Network
from nerv.node.channels import read_into
from nerv.node.spdy import SpdySession, SpdyStream
from nerv.node.websocket import WebSocket

SPDY_PROTOCOL = "portforward.k8s.io"
TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CHANNEL_PROTOCOL = "v4.channel.k8s.io"
_CHUNK = 1 << 15


class Forwarder:
    """Joins the stream pairs of one SPDY session to ports of the pod at `address`."""

    def __init__(self, network: Network, address: str) -> None:
        self._network = network
        self._address = address
        self._errors: dict[str, SpdyStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def opened(self, stream: SpdyStream) -> None:
        """A stream was opened: the error stream of a pair comes first, then the data stream."""
        request = stream.headers.get("requestid", "")
        if stream.headers.get("streamtype") == "error":
            self._errors[request] = stream
        else:
            task = asyncio.create_task(self._forward(stream, self._errors.pop(request, None)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, stream: SpdyStream, error: SpdyStream | None) -> None:
        port = int(stream.headers["port"])
        try:
            reader, writer = await self._network.dial(self._address, port)
        except DialError as problem:
            if error:
                error.write(f"an error occurred forwarding to port {port}: {problem}".encode())
                error.close()
            stream.close()
            return
        upward = asyncio.create_task(_upward(stream, writer))
        try:
            while data := await reader.read(_CHUNK):
                stream.write(data)
            stream.close()
            if error:
                error.close()
            await upward
        except ConnectionError:
            stream.close()
        finally:
            upward.cancel()
            writer.close()

    async def stop(self) -> None:
        """The client has gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _upward(stream: SpdyStream, writer: asyncio.StreamWriter) -> None:
    while data := await stream.read():
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def serve_spdy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, network: Network, address: str
) -> None:
    """On a SPDY connection."""
    forwarder = Forwarder(network, address)
    try:
        await read_into(SpdySession(writer.write, forwarder.opened), reader)
    finally:
        await forwarder.stop()


async def serve_tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, network: Network, address: str
) -> None:
    """SPDY inside the messages of a WebSocket."""
    forwarder = Forwarder(network, address)
    socket = WebSocket(reader, writer)
    session = SpdySession(socket.send, forwarder.opened)
    try:
        async for message in socket.messages():
            session.feed(message)
    finally:
        session.end()
        await forwarder.stop()


async def serve_channels(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, network: Network, address: str, ports: Sequence[int]
) -> None:
    """On a WebSocket: channel 2n is the data of the n-th port and 2n+1 its errors; each begins with the port."""
    socket = WebSocket(reader, writer)
    typed: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in ports]
    tasks = []
    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            socket.send(bytes([channel]) + struct.pack("<H", port))
        tasks.append(asyncio.create_task(_channel(socket, network, address, port, 2 * index, typed[index])))
    try:
        async for message in socket.messages():
            if message and message[0] % 2 == 0 and message[0] // 2 < len(ports):
                typed[message[0] // 2].put_nowait(message[1:])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _channel(
    socket: WebSocket, network: Network, address: str, port: int, channel: int, typed: asyncio.Queue[bytes]
) -> None:
    try:
        reader, writer = await network.dial(address, port)
    except DialError as problem:
        text = f"an error occurred forwarding to port {port}: {problem}"
        socket.send(bytes([channel + 1]) + text.encode())
        return
    upward = asyncio.create_task(_upward_from(typed, writer))
    try:
        while data := await reader.read(_CHUNK):
            socket.send(bytes([channel]) + data)
            await socket.drain()
    finally:
        upward.cancel()
        writer.close()


async def _upward_from(typed: asyncio.Queue[bytes], writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(await typed.get())
        await writer.drain()
