"""The server side of WebSocket (RFC 6455) on a pair of streams: binary messages, pings answered, masked input."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncGenerator

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING = 1, 2, 8, 9
_LARGEST = 32 << 20
NORMAL_CLOSURE = 1000


def accept_key(key: str) -> str:
    """The value of Sec-WebSocket-Accept for a client's Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT, usedforsecurity=False).digest()).decode()


class WebSocket:
    """One connection after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closed = False

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """Whole messages until the client closes or vanishes."""
        message = b""
        while True:
            try:
                final, kind, data = await self._frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if kind == _CLOSE:
                self.close()
                return
            if kind == _PING:
                self._send(10, data)
            elif kind in (0, _TEXT, _BINARY):
                message += data
                if len(message) > _LARGEST:
                    self.close(1009)
                    return
                if final:
                    yield message
                    message = b""

    async def _frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        if size > _LARGEST:
            raise ConnectionError("the frame is too large")
        mask = await self._reader.readexactly(4) if second & 0x80 else b""
        data = await self._reader.readexactly(size)
        return bool(first & 0x80), first & 0x0F, _unmask(data, mask)

    def send(self, data: bytes) -> None:
        """Send one binary message."""
        self._send(_BINARY, data)

    async def drain(self) -> None:
        """Wait while the client reads too slowly."""
        await self._writer.drain()

    def close(self, code: int = NORMAL_CLOSURE) -> None:
        """Say goodbye."""
        if not self._closed:
            self._send(_CLOSE, struct.pack("!H", code))
            self._closed = True

    def _send(self, kind: int, data: bytes) -> None:
        if self._closed or self._writer.is_closing():
            return
        size = len(data)
        if size < 126:
            head = bytes([0x80 | kind, size])
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 127, size)
        self._writer.write(head + data)


def _unmask(data: bytes, mask: bytes) -> bytes:
    if not mask or not data:
        return data
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
