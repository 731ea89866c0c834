"""One request and its answer over a connection that somebody else dialled: webhooks, kubelets, aggregated servers.

The answer's body is read on, or the connection goes on under another protocol (101), as the caller likes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httptools

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int], Awaitable[Connection]]
_PIECE = 64 << 10


class ExchangeError(Exception):
    """The other end did not speak HTTP, or ended too early."""


@dataclass(frozen=True)
class Head:
    """Status and headers (lower-case names) of an answer."""

    status: int
    headers: Mapping[str, str]


class _Events:
    """What the parser reports."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.head_done = False
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.head_done = True

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_complete(self) -> None:
        self.done = True


class Exchange:
    """One exchange on one connection. `send`, then `head`, then `body` or, after 101, `rest` and the connection."""

    def __init__(self, connection: Connection) -> None:
        self.reader, self.writer = connection
        self._events = _Events()
        self._parser: Any = httptools.HttpResponseParser(self._events)
        self.rest = b""
        """What came behind the head of a 101 answer."""

    async def send(self, method: str, path: str, host: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a whole request."""
        lines = [f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}\r\n")
        self.writer.write("".join(lines).encode("latin-1") + b"\r\n" + body)
        await self.writer.drain()

    async def head(self) -> Head:
        """Wait for the answer's head. Raises ExchangeError."""
        while not self._events.head_done:
            await self._feed()
        return Head(self._parser.get_status_code(), self._events.headers)

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The pieces of the body as they come. Raises ExchangeError."""
        while True:
            pieces, self._events.body = self._events.body, []
            for piece in pieces:
                yield piece
            if self._events.done:
                return
            await self._feed()

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises ExchangeError when it is larger than `limit`."""
        parts: list[bytes] = []
        size = 0
        async for piece in self.body():
            size += len(piece)
            if size > limit:
                raise ExchangeError(f"the answer is larger than {limit} bytes")
            parts.append(piece)
        return b"".join(parts)

    def close(self) -> None:
        """Drop the connection."""
        self.writer.close()

    async def _feed(self) -> None:
        data = await self.reader.read(_PIECE)
        if not data:
            if self._events.head_done and "content-length" not in self._events.headers:
                self._events.done = True  # a body that ends with the connection
                return
            raise ExchangeError("EOF")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise ExchangeError(f"malformed HTTP response: {error}") from None


async def secure(connection: Connection, context: ssl.SSLContext, name: str) -> Connection:
    """The connection under TLS; `name` is what the certificate must be for. Raises ssl.SSLError."""
    reader, writer = connection
    await writer.start_tls(context, server_hostname=name)
    return reader, writer
