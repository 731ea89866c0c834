"""Joining two byte streams inside the relay: what one side sends the other receives; back-pressure, half-close."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import cast

from nerv.network.overrides import override
from nerv.network.routes import Outside, Target

_LONGEST_HEAD = 8192
_DIAL_TIMEOUT = 10.0

Resolve = Callable[[str, int], list[Target]]


class Half(asyncio.Protocol):
    """One side of a joined pair."""

    transport: asyncio.Transport

    def __init__(self, peer: Half | None = None) -> None:
        self.peer = peer
        self.ended = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self.peer:
            self.peer.transport.write(data)

    @override
    def eof_received(self) -> bool:
        self.ended = True
        peer = self.peer
        if peer is None or peer.transport.is_closing():
            return False
        if peer.ended:
            peer.transport.close()
            return False
        if peer.transport.can_write_eof():
            peer.transport.write_eof()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer and exc:
            self.peer.transport.abort()
        elif self.peer:
            self.peer.transport.close()

    @override
    def pause_writing(self) -> None:
        if self.peer:
            self.peer.transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        if self.peer:
            self.peer.transport.resume_reading()


async def _dial(target: Target, near: Half) -> Half:
    loop = asyncio.get_running_loop()
    if isinstance(target, Outside):
        return (await loop.create_unix_connection(lambda: Half(near), target.path))[1]
    return (await loop.create_connection(lambda: Half(near), target.address, target.port))[1]


async def dial_first(targets: list[Target], near: Half) -> str:
    """Join `near` to the first target that answers. Returns "" or why none did, as Go's dialler words it."""
    problem = "connect: connection refused"
    for target in targets:
        try:
            far = await asyncio.wait_for(_dial(target, near), _DIAL_TIMEOUT)
        except TimeoutError:
            problem = "i/o timeout"
        except OSError as error:
            problem = f"connect: {os.strerror(error.errno).lower() if error.errno else error}"
        else:
            near.peer = far
            return ""
    return problem


class Accepted(Half):
    """A connection that came in at a route's address: joined to one of its targets, else reset."""

    def __init__(self, targets: Callable[[], list[Target]], spawn: Callable[[Awaitable[None]], None]) -> None:
        super().__init__()
        self._targets = targets
        self._spawn = spawn
        self._early: list[bytes] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._spawn(self._join())

    @override
    def data_received(self, data: bytes) -> None:
        # uvloop begins to read after `connection_made`, whatever was said there: nothing of it may be lost
        if self.peer is None:
            self._early.append(data)
            self.transport.pause_reading()
        else:
            super().data_received(data)

    @override
    def eof_received(self) -> bool:
        if self.peer is None:
            self.ended = True
            return True
        return super().eof_received()

    async def _join(self) -> None:
        if await dial_first(self._targets(), self) or self.transport.is_closing():
            self.transport.abort()
            if self.peer:
                self.peer.transport.abort()
            return
        assert self.peer is not None
        self.peer.transport.writelines(self._early)
        self._early.clear()
        if self.ended:
            self.peer.transport.write_eof()
        self.transport.resume_reading()


class Inward(Half):
    """A connection from outside that names its destination by `CONNECT host:port HTTP/1.1` (RFC 9110, 9.3.6)."""

    def __init__(self, resolve: Resolve, spawn: Callable[[Awaitable[None]], None]) -> None:
        super().__init__()
        self._resolve = resolve
        self._spawn = spawn
        self._head = b""

    @override
    def data_received(self, data: bytes) -> None:
        if self.peer:
            self.peer.transport.write(data)
            return
        self._head += data
        head, found, rest = self._head.partition(b"\r\n\r\n")
        if found:
            self.transport.pause_reading()
            self._spawn(self._join(head.decode("latin-1"), rest))
        elif len(self._head) > _LONGEST_HEAD:
            self._refuse(431, "the request's head is too long")

    async def _join(self, head: str, rest: bytes) -> None:
        method, _, remainder = head.partition(" ")
        host, _, port = remainder.split(" ")[0].rpartition(":")
        if method != "CONNECT" or not port.isdecimal():
            self._refuse(400, "only CONNECT host:port is answered here")
            return
        try:
            targets = self._resolve(host.strip("[]"), int(port))
        except LookupError as error:
            self._refuse(503, f"dial tcp: {error.args[0]}")
            return
        problem = await dial_first(targets, self)
        if problem:
            self._refuse(503, f"dial tcp {host}:{port}: {problem}")
        elif self.transport.is_closing() or self.peer is None:
            if self.peer:
                self.peer.transport.abort()
        else:
            self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.peer.transport.write(rest)
            self.transport.resume_reading()

    def _refuse(self, status: int, text: str) -> None:
        body = text.encode()
        head = f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()
