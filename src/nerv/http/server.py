"""An HTTP/1.1 server as one asyncio protocol per connection: no task, queue or generator per request.

A handler that answers at once is answered in the same turn of the loop; one that returns an awaitable when it is done.
Requests that a client sends ahead wait their turn. Facts and numbers: a raw protocol on httptools serves two to five
times the requests of the usual frameworks.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl as tls_module
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import httptools
from typing_extensions import override

from nerv.http import tls, wire
from nerv.http.messages import Answer, Chunk, Handler, Peer, Request, Response, Stream, Upgrade

_log = logging.getLogger(__name__)

_LARGEST_BODY = 64 << 20
_LARGEST_HEAD = 64 << 10
_LARGEST_BACKLOG = 16
"""Requests a client may send ahead on one connection before it is no longer read."""


class Server:
    """A listening server."""

    def __init__(self, listener: asyncio.Server, connections: set[_Connection]) -> None:
        self._listener = listener
        self._connections = connections

    @property
    def port(self) -> int:
        """The TCP port; 0 for a unix socket."""
        name = self._listener.sockets[0].getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self._listener.close()
        for connection in tuple(self._connections):
            connection.drop()
        await asyncio.sleep(0)


async def listen(
    handler: Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    unix: Path | None = None,
    ssl: tls_module.SSLContext | None = None,
    reuse_port: bool = False,
) -> Server:
    """Serve `handler` on a TCP port (0: any free one) or a unix socket. Raises OSError.

    `reuse_port`: also where sockets of this user share the port.
    """
    loop = asyncio.get_running_loop()
    connections: set[_Connection] = set()

    def accept() -> _Connection:
        return _Connection(handler, connections)

    if unix is not None:
        unix.unlink(missing_ok=True)
        listener = await loop.create_unix_server(accept, str(unix), ssl=ssl)
        unix.chmod(0o600)
    else:
        listener = await loop.create_server(accept, host, port, ssl=ssl, reuse_port=reuse_port)
    return Server(listener, connections)


class _Connection(asyncio.Protocol):
    """One connection: parses requests, answers them in order."""

    _transport: asyncio.Transport

    def __init__(self, handler: Handler, connections: set[_Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._peer: Peer | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._paused = False
        self._upgrading = False
        self._full = False
        self._unsent: memoryview | None = None
        self._keep_alive = True
        self._task: asyncio.Future[Any] | None = None
        self._stream: _StreamWriter | None = None
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._rest = b""

    # asyncio.Protocol

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports have no common base class
        self._connections.add(self)
        self._peer = tls.peer_of(transport.get_extra_info("ssl_object"))

    @override
    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if self._stream:
            self._stream.lost()
        if self._task:
            self._task.cancel()

    @override
    def data_received(self, data: bytes) -> None:
        if self._upgrading:
            self._rest += data
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._refuse(400, b"malformed request")

    @override
    def pause_writing(self) -> None:
        self._full = True
        if self._stream:
            self._stream.pause()

    @override
    def resume_writing(self) -> None:
        self._full = False
        if self._stream:
            self._stream.resume()
        self._send_slices()

    @override
    def eof_received(self) -> bool:
        return False

    # httptools

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._body = []
        self._head_bytes = self._body_bytes = 0

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _LARGEST_HEAD:
            self._refuse(431, b"header too large")
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        self._body_bytes += len(part)
        if self._body_bytes > _LARGEST_BODY:
            self._refuse(413, b"body too large")
            return
        self._body.append(part)

    def on_message_complete(self) -> None:
        if self._transport.is_closing():
            return
        raw_path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        if "://" in raw_path[:8]:  # absolute form, as proxies are asked
            raw_path = "/" + raw_path.split("://", 1)[1].partition("/")[2]
        path = unquote(raw_path) if "%" in raw_path else raw_path
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        request = Request(method, path, query, self._headers, body, self._peer, raw_path)
        self._upgrading = self._parser.should_upgrade()
        keep_alive = self._parser.should_keep_alive() and not self._upgrading
        if self._busy:
            self._waiting.append((request, keep_alive))
            if len(self._waiting) >= _LARGEST_BACKLOG and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            return
        self._serve(request, keep_alive)

    # answering

    def _serve(self, request: Request, keep_alive: bool) -> None:
        self._busy = True
        self._keep_alive = keep_alive
        try:
            answer = self._handler(request)
        except Exception:  # noqa: BLE001  the request boundary: one bad request must not end the connection's server
            _log.exception("%s %s failed", request.method, request.path)
            answer = _failure()
        if inspect.isawaitable(answer):
            self._task = asyncio.ensure_future(self._later(request, answer))
            if inspect.iscoroutine(answer):
                # a task that is cancelled before its first step never gets to await it
                self._task.add_done_callback(lambda _: answer.close())
        else:
            self._answer(request, answer)

    async def _later(self, request: Request, pending: Awaitable[Answer]) -> None:
        try:
            answer = await pending
        except Exception:  # noqa: BLE001  the request boundary
            _log.exception("%s %s failed", request.method, request.path)
            answer = _failure()
        self._task = None
        self._answer(request, answer)

    def _answer(self, request: Request, answer: Answer) -> None:
        if self._transport.is_closing():
            return
        if isinstance(answer, Response) and len(answer.body) >= wire.LARGE and request.method != "HEAD":
            self._transport.write(wire.response_head(answer, self._keep_alive))
            self._unsent = memoryview(answer.body)
            self._send_slices()
        elif isinstance(answer, Response):
            wire.write_response(self._transport, request.method, answer, self._keep_alive)
            self._done()
        elif isinstance(answer, Stream):
            self._transport.write(wire.stream_head(answer, self._keep_alive))
            self._stream = _StreamWriter(self._transport, self._stream_ended)
            answer.on_start(self._stream)
        else:
            self._upgrade(answer)

    def _send_slices(self) -> None:
        """Go on with a large body until the transport has enough."""
        while self._unsent is not None and not self._full and not self._transport.is_closing():
            piece, rest = self._unsent[: wire.SLICE], self._unsent[wire.SLICE :]
            self._unsent = rest if len(rest) else None
            self._transport.write(piece)
            if self._unsent is None:
                self._done()

    def _stream_ended(self) -> None:
        self._stream = None
        self._done()

    def _done(self) -> None:
        self._busy = False
        if not self._keep_alive:
            self._transport.close()
            return
        if self._waiting:
            self._serve(*self._waiting.popleft())
        elif self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _upgrade(self, answer: Upgrade) -> None:
        self._transport.write(wire.upgrade_head(answer))
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        # httptools reports what follows the head only after the handler ran, so look one turn later
        self._loop.call_soon(self._start_upgraded, answer, reader, protocol)

    def _start_upgraded(
        self, answer: Upgrade, reader: asyncio.StreamReader, protocol: asyncio.StreamReaderProtocol
    ) -> None:
        if self._rest:
            reader.feed_data(self._rest)
        writer = asyncio.StreamWriter(self._transport, protocol, reader, self._loop)
        self._task = asyncio.ensure_future(self._run_upgraded(answer, reader, writer))

    async def _run_upgraded(self, answer: Upgrade, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer.on_start(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            _log.debug("an upgraded connection was lost")
        finally:
            writer.close()
            self._connections.discard(self)

    def _refuse(self, status: int, text: bytes) -> None:
        if not self._transport.is_closing():
            wire.write_response(self._transport, "GET", Response(status, text, "text/plain"), keep_alive=False)
            self._transport.close()

    def drop(self) -> None:
        """Close without waiting for anything."""
        if self._task:
            self._task.cancel()
        self._transport.abort()


class _StreamWriter:
    """Chunked transfer coding on a transport."""

    def __init__(self, transport: asyncio.Transport, ended: Callable[[], None]) -> None:
        self._transport = transport
        self._ended = ended
        self._closed = False
        self._callbacks: list[Callable[[], None]] = []
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def buffered(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def closed(self) -> bool:
        return self._closed or self._transport.is_closing()

    def write(self, chunk: Chunk) -> None:
        if not self._closed and chunk.data:
            self._transport.write(chunk.framed)

    async def drain(self) -> None:
        await self._writable.wait()

    def abort(self) -> None:
        self._transport.abort()
        self.lost()

    def pause(self) -> None:
        """The transport's buffer is full."""
        self._writable.clear()

    def resume(self) -> None:
        """There is room again."""
        self._writable.set()

    def close(self) -> None:
        if self._closed:
            return
        if not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")
        self.lost()
        self._ended()

    def on_close(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def lost(self) -> None:
        """The connection is gone, or the stream ends: tell the writer's owner once."""
        if self._closed:
            return
        self._closed = True
        self._writable.set()
        for callback in self._callbacks:
            callback()


def _failure() -> Response:
    return Response(500, b"Internal error occurred: see the server's log", "text/plain")
