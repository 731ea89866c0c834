"""The streams of exec and attach, whichever way they come: WebSocket channels (v5, v4) or SPDY streams (v4, v5).

Channels of the WebSocket protocols: 0 input, 1 output, 2 error output, 3 the final Status, 4 terminal size; v5 adds
255, which closes the channel that it names. SPDY has one stream for each, named by its header `streamtype`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from nerv.kube.objects import Object
from nerv.node.spdy import SpdySession, SpdyStream
from nerv.node.websocket import WebSocket

WEBSOCKET_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
SPDY_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_INPUT, _OUTPUT, _ERROR_OUTPUT, _STATUS, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 1 << 16
_STREAMS_TIMEOUT = 30.0


class Size(Protocol):
    """What is told a new terminal size."""

    def __call__(self, width: int, height: int) -> None: ...


class Channels(Protocol):
    """What a session reads and writes."""

    def input(self) -> AsyncGenerator[bytes, None]:
        """What the user types, until they end it or go away."""
        ...

    def on_resize(self, resize: Size) -> None:
        """Call back for every size of the user's terminal."""
        ...

    async def output(self, data: bytes) -> None: ...

    async def error_output(self, data: bytes) -> None: ...

    async def finish(self, status: Object) -> None:
        """Send how it ended, and close."""
        ...


Session = Callable[[Channels], Awaitable[None]]


class WebSocketChannels:
    """Channels on a WebSocket: the first byte of a message is the channel."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._typed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._resize: Size | None = None
        self._size = b""

    async def receive(self) -> None:
        """Take in messages until the client goes away."""
        try:
            async for message in self._socket.messages():
                channel, data = message[0] if message else -1, message[1:]
                if channel == _INPUT:
                    self._typed.put_nowait(data)
                elif channel == _CLOSE and data[:1] == bytes([_INPUT]):
                    self._typed.put_nowait(None)
                elif channel == _RESIZE:
                    self._size = data  # clients send it at once, before there is a terminal
                    if self._resize:
                        _tell_size(self._resize, data)
        finally:
            self._typed.put_nowait(None)

    async def input(self) -> AsyncGenerator[bytes, None]:
        while (data := await self._typed.get()) is not None:
            yield data

    def on_resize(self, resize: Size) -> None:
        self._resize = resize
        _tell_size(resize, self._size)

    async def output(self, data: bytes) -> None:
        await self._send(_OUTPUT, data)

    async def error_output(self, data: bytes) -> None:
        await self._send(_ERROR_OUTPUT, data)

    async def finish(self, status: Object) -> None:
        await self._send(_STATUS, json.dumps(status).encode())
        self._socket.close()

    async def _send(self, channel: int, data: bytes) -> None:
        self._socket.send(bytes([channel]) + data)
        await self._socket.drain()


async def serve_websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: Session) -> None:
    """Run a session on a WebSocket; when the client goes away, it ends."""
    channels = WebSocketChannels(WebSocket(reader, writer))
    await _until_either(channels.receive(), session(channels))


class SpdyChannels:
    """Channels as SPDY streams."""

    def __init__(self, streams: dict[str, SpdyStream], drain: Callable[[], Awaitable[None]]) -> None:
        self._streams = streams
        self._drain = drain
        self._sizes: asyncio.Task[None] | None = None

    async def input(self) -> AsyncGenerator[bytes, None]:
        if stream := self._streams.get("stdin"):
            while data := await stream.read():
                yield data

    def on_resize(self, resize: Size) -> None:
        if stream := self._streams.get("resize"):
            self._sizes = asyncio.create_task(_read_sizes(stream, resize))

    async def output(self, data: bytes) -> None:
        await self._send("stdout", data)

    async def error_output(self, data: bytes) -> None:
        await self._send("stderr", data)

    async def finish(self, status: Object) -> None:
        await self._send("error", json.dumps(status).encode())
        for stream in self._streams.values():
            stream.close()
        if self._sizes:
            self._sizes.cancel()

    async def _send(self, name: str, data: bytes) -> None:
        if stream := self._streams.get(name):
            stream.write(data)
            await self._drain()


async def serve_spdy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, names: frozenset[str], session: Session
) -> None:
    """Run a session on a SPDY connection once the client has opened the streams `names`."""
    streams: dict[str, SpdyStream] = {}
    complete = asyncio.Event()

    def opened(stream: SpdyStream) -> None:
        streams[stream.headers.get("streamtype", "")] = stream
        if names <= streams.keys():
            complete.set()

    async def run() -> None:
        await asyncio.wait_for(complete.wait(), _STREAMS_TIMEOUT)
        await session(SpdyChannels(streams, writer.drain))

    spdy = SpdySession(writer.write, opened)
    await _until_either(read_into(spdy, reader), run())


async def read_into(session: SpdySession, reader: asyncio.StreamReader) -> None:
    """Feed a SPDY session until its connection ends."""
    try:
        while data := await reader.read(_CHUNK):
            session.feed(data)
    finally:
        session.end()


async def _until_either(receiving: Awaitable[None], session: Awaitable[None]) -> None:
    tasks = [asyncio.ensure_future(receiving), asyncio.ensure_future(session)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_sizes(stream: SpdyStream, resize: Size) -> None:
    while data := await stream.read():
        _tell_size(resize, data)


def _tell_size(resize: Size, data: bytes) -> None:
    for line in data.splitlines():
        size = json.loads(line)
        resize(size["Width"], size["Height"])
