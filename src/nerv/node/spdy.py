"""The server side of SPDY/3.1, as much of it as Kubernetes' streaming uses (draft-mbelshe-httpbis-spdy-00 with 3.1's
session window). Bytes in by `feed`, bytes out by a callback, so it runs on a connection or inside a WebSocket.

Windows are granted at once for what comes in; the peers (moby/spdystream) do not limit what goes out.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _WINDOW_UPDATE = 1, 2, 3, 6, 7, 9
_FIN = 1
_CONTROL = 0x80000000
_LARGEST_CHUNK = 1 << 15
_DICTIONARY = (Path(__file__).parent / "spdy.dictionary").read_bytes()
"""The draft's list of likely header names and values, which primes the compression of headers."""


class SpdyStream:
    """One stream that the client opened."""

    def __init__(self, session: SpdySession, number: int, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.number = number
        self._session = session
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended = False
        self._finished = False

    async def read(self) -> bytes:
        """What came next; b"" at the end, and again after it."""
        if self._ended:
            return b""
        data = await self._incoming.get()
        self._ended = not data
        return data

    def write(self, data: bytes) -> None:
        """Send."""
        if not self._finished:
            for start in range(0, len(data), _LARGEST_CHUNK):
                self._session.send_data(self.number, data[start : start + _LARGEST_CHUNK], 0)

    def close(self) -> None:
        """No more is sent on this stream."""
        if not self._finished:
            self._finished = True
            self._session.send_data(self.number, b"", _FIN)

    def received(self, data: bytes) -> None:
        """For the session: data, or b"" for the end."""
        self._incoming.put_nowait(data)


class SpdySession:
    """One connection. `opened` is called for every stream that the client opens."""

    def __init__(self, send: Callable[[bytes], None], opened: Callable[[SpdyStream], None]) -> None:
        self._send = send
        self._opened = opened
        self._buffer = b""
        self._inflate = zlib.decompressobj(zdict=_DICTIONARY)
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
        self._streams: dict[int, SpdyStream] = {}

    def feed(self, data: bytes) -> None:
        """Take in what the client sent."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from("!II", self._buffer)
            size = second & 0xFFFFFF
            if len(self._buffer) < 8 + size:
                return
            payload = self._buffer[8 : 8 + size]
            self._buffer = self._buffer[8 + size :]
            if first & _CONTROL:
                self._control(first & 0xFFFF, second >> 24, payload)
            else:
                self._data(first, second >> 24, payload)

    def end(self) -> None:
        """The connection is gone: every stream comes to its end."""
        for stream in self._streams.values():
            stream.received(b"")
        self._streams.clear()

    def send_data(self, number: int, data: bytes, flags: int) -> None:
        """For streams."""
        self._send(struct.pack("!II", number, flags << 24 | len(data)) + data)

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _SYN_STREAM:
            self._open(flags, payload)
        elif kind == _PING:
            self._send_control(_PING, payload)
        elif kind == _RST_STREAM:
            (number,) = struct.unpack_from("!I", payload)
            if stream := self._streams.pop(number, None):
                stream.received(b"")
        elif kind == _GOAWAY:
            self.end()

    def _open(self, flags: int, payload: bytes) -> None:
        (number,) = struct.unpack_from("!I", payload)
        stream = SpdyStream(self, number, self._headers(payload[10:]))
        self._streams[number] = stream
        self._send_control(_SYN_REPLY, struct.pack("!I", number) + self._compress())
        if flags & _FIN:
            stream.received(b"")
        self._opened(stream)

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if payload:
            for place in (number, 0):  # the stream's window and, since 3.1, the session's
                self._send_control(_WINDOW_UPDATE, struct.pack("!II", place, len(payload)))
        if stream and payload:
            stream.received(payload)
        if stream and flags & _FIN:
            stream.received(b"")

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block)
        (count,) = struct.unpack_from("!I", plain)
        offset = 4
        words = []
        for _ in range(2 * count):
            (size,) = struct.unpack_from("!I", plain, offset)
            words.append(plain[offset + 4 : offset + 4 + size].decode("latin-1"))
            offset += 4 + size
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def _compress(self) -> bytes:
        return self._deflate.compress(struct.pack("!I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def _send_control(self, kind: int, payload: bytes) -> None:
        self._send(struct.pack("!HHI", 0x8003, kind, len(payload)) + payload)
