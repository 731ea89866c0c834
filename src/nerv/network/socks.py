"""SOCKS version 5 (RFC 1928, login by RFC 1929): how programs that share this machine's network reach the cluster's.

CONNECT alone, by address or by name; names are resolved by the network's table and never by the machine.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Awaitable, Callable, Generator

from nerv.network.joins import Half, Resolve, dial_first
from nerv.network.overrides import override

_VERSION, _LOGIN_VERSION = 5, 1
_LOGIN, _NO_METHOD = 2, 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_DONE, _REFUSED, _UNREACHABLE, _NO_COMMAND, _NO_ADDRESS_TYPE = 0, 5, 4, 7, 8
_BOUND = bytes([0, _IPV4, 0, 0, 0, 0, 0, 0])

Parser = Generator[int, bytes, None]
"""Yields how many bytes it needs next, and is sent them."""


class Socks(Half):
    """One connection of a program. `login` is user name and password."""

    def __init__(self, resolve: Resolve, spawn: Callable[[Awaitable[None]], None], login: tuple[str, str]) -> None:
        super().__init__()
        self._resolve = resolve
        self._spawn = spawn
        self._login = login
        self._read = b""
        self._parser = self._parse()
        self._needed = next(self._parser)
        self._over = False

    @override
    def data_received(self, data: bytes) -> None:
        if self.peer:
            self.peer.transport.write(data)
            return
        self._read += data
        while not self._over and len(self._read) >= self._needed:
            part, self._read = self._read[: self._needed], self._read[self._needed :]
            try:
                self._needed = self._parser.send(part)
            except StopIteration:
                self._over = True

    def _parse(self) -> Parser:
        version, methods = yield 2
        offered = yield methods
        if version != _VERSION or _LOGIN not in offered:
            self._end(bytes([_VERSION, _NO_METHOD]))
            return
        self.transport.write(bytes([_VERSION, _LOGIN]))
        _, size = yield 2
        user = yield size
        (size,) = yield 1
        password = yield size
        given = user + b"\0" + password
        if not hmac.compare_digest(given, "\0".join(self._login).encode()):
            self._end(bytes([_LOGIN_VERSION, 1]))
            return
        self.transport.write(bytes([_LOGIN_VERSION, 0]))
        _, command, _, kind = yield 4
        if kind == _IPV4:
            host = socket.inet_ntoa((yield 4))
        elif kind == _NAME:
            (size,) = yield 1
            host = (yield size).decode("latin-1")
        else:
            self._answer(_NO_ADDRESS_TYPE)
            return
        port = int.from_bytes((yield 2), "big")
        if command != _CONNECT:
            self._answer(_NO_COMMAND)
            return
        self.transport.pause_reading()
        self._spawn(self._join(host, port))

    async def _join(self, host: str, port: int) -> None:
        try:
            targets = self._resolve(host, port)
        except LookupError:
            self._answer(_UNREACHABLE)
            return
        if await dial_first(targets, self):
            self._answer(_REFUSED)
        elif self.transport.is_closing() or self.peer is None:
            if self.peer:
                self.peer.transport.abort()
        else:
            self.transport.write(bytes([_VERSION, _DONE]) + _BOUND)
            self.peer.transport.write(self._read)
            self.transport.resume_reading()

    def _answer(self, code: int) -> None:
        self._end(bytes([_VERSION, code]) + _BOUND)

    def _end(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()
