"""A loopback HTTP proxy (CONNECT only): mirrored hosts lead to the mirror, others out untouched, or nowhere offline.

This machine's own loopback addresses are no part of the world outside: what is in a repository may name any URL, and
servers that listen on loopback trust who reaches them. Only a place that the user's own definition names is reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping, Set
from ipaddress import ip_address
from pathlib import Path

_log = logging.getLogger(__name__)
_HEAD = 1 << 14
_CHUNK = 1 << 16
_CONNECT_SECONDS = 10.0

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """`served` are hosts and ports that unix sockets answer. With `offline` every other host is refused and reported.

    `loopback` are hosts and ports that may lead to this machine itself, offline too.
    """

    def __init__(
        self,
        served: Callable[[], Mapping[tuple[str, int], Path]],
        *,
        loopback: Set[tuple[str, int]] = frozenset(),
        offline: bool,
    ) -> None:
        self._served = served
        self._loopback = loopback
        self._offline = offline
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.refused: set[str] = set()
        """Hosts that were asked for while offline."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        """For `https_proxy`."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
            host, _, port = target.rpartition(":")
            if method != "CONNECT" or not port.isdigit():
                await _refuse(writer, "405 Method Not Allowed", "this proxy speaks CONNECT alone")
                return
            opened = await self._open(host, int(port), writer)
            if opened is not None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await _join((reader, writer), opened)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, ConnectionError):
            pass  # a client that does not speak to its end gets no answer
        finally:
            writer.close()

    async def _open(self, host: str, port: int, writer: asyncio.StreamWriter) -> Ends | None:
        """The other end, or None when the client was told why there is none."""
        mirrored = self._served().get((host, port))
        if mirrored is not None:
            return await asyncio.open_unix_connection(str(mirrored))
        named = (host, port) in self._loopback
        if self._offline and not (named and await _is_local(host, port)):
            await self._refuse_offline(host, port, writer)
            return None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                addresses = await _resolve(host, port)
                if not named and any(ip_address(address).is_loopback for address in addresses):
                    await _refuse(writer, "403 Forbidden", f"{host}:{port} is this machine itself, which is not served")
                    return None
                return await _connect(addresses, port)
        except (OSError, TimeoutError) as error:
            await _refuse(writer, "502 Bad Gateway", f"{host}:{port} does not answer: {error or 'no answer'}")
            return None

    async def _refuse_offline(self, host: str, port: int, writer: asyncio.StreamWriter) -> None:
        if host not in self.refused:
            self.refused.add(host)
            _log.warning("offline: a connection to %s:%d was refused", host, port)
        await _refuse(writer, "403 Forbidden", f"offline: {host} is not mirrored")


async def _resolve(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]


async def _is_local(host: str, port: int) -> bool:
    try:
        return all(ip_address(address).is_loopback for address in await _resolve(host, port))
    except OSError:
        return False


async def _connect(addresses: list[str], port: int) -> Ends:
    """A connection to the first of the addresses that answers. Raises OSError."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(address, port)
    return await asyncio.open_connection(addresses[-1], port)


async def _refuse(writer: asyncio.StreamWriter, status: str, why: str) -> None:
    body = f"{why}\n".encode()
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()


async def _join(left: Ends, right: Ends) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # either end may be gone at any moment
            while data := await reader.read(_CHUNK):
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    try:
        await asyncio.gather(copy(left[0], right[1]), copy(right[0], left[1]))
    finally:
        right[1].close()
