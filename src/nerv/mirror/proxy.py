"""A loopback HTTP proxy: mirrored hosts lead to the mirror, others out untouched, or nowhere offline.

CONNECT for everything that is encrypted, and requests with a whole http:// URL, which are passed on as they are.

This machine's own loopback addresses are no part of the world outside: what is in a repository may name any URL, and
servers that listen on loopback trust who reaches them. Only a place that the user's own definition names is reached.
On loopback it asks for a login, since other users of this machine reach its port; its unix socket is this user's alone.

The cluster's addresses and names lead into the cluster, and nowhere where they are not its own.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hmac
import logging
import secrets
import socket
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from urllib.parse import urlsplit

from nerv.errors import NervError
from nerv.mirror.inside import Ends, Inside, address_of
from nerv.network.driver import DialError

_log = logging.getLogger(__name__)
_HEAD = 1 << 14
_CHUNK = 1 << 16
_CONNECT_SECONDS = 10.0
_HTTP = 80
_PORTS = range(1, 1 << 16)
_FORBIDDEN, _LOGIN_ASKED, _NO_ANSWER = 403, 407, 502
_USER = "nerv"
OFFLINE = 503
"""Status of what is refused because NERV runs offline."""
_PROXYS_OWN = ("connection", "proxy-connection", "proxy-authorization", "keep-alive")


class Refused(NervError):
    """A connection that is not made; `status` is the HTTP answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Proxy:
    """`served` are hosts and ports that unix sockets answer. With `offline` every other host is refused and reported.

    `loopback` are hosts and ports that may lead to this machine itself, offline too. Without `inside` there is no
    cluster to lead into.
    """

    def __init__(
        self,
        served: Callable[[], Mapping[tuple[str, int], Path]],
        *,
        loopback: Set[tuple[str, int]] = frozenset(),
        inside: Inside | None = None,
        offline: bool,
        on_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._served = served
        self._loopback = loopback
        self._cluster = inside
        self.offline = offline
        self._on_refused = on_refused
        self._token = secrets.token_urlsafe(24)
        self._server: asyncio.Server | None = None
        self._inside: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.refused: set[str] = set()
        """Hosts that were asked for while offline."""

    async def start(self, unix: Path | None = None) -> None:
        """Listen on loopback, and on a unix socket which the cluster's network can lead to."""
        self._server = await asyncio.start_server(functools.partial(self._accept, asks=True), "127.0.0.1", 0)
        if unix is not None:
            unix.unlink(missing_ok=True)
            self._inside = await asyncio.start_unix_server(functools.partial(self._accept, asks=False), str(unix))
            unix.chmod(0o600)

    @property
    def url(self) -> str:
        """For `https_proxy`, login included: a secret."""
        assert self._server is not None
        return f"http://{_USER}:{self._token}@127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        for server in (self._server, self._inside):
            if server:
                server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asks: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, asks))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asks: bool) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if asks:
                self._check_login(head)
            method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
            host, port = _named(method, target)
            opened = await self.open(host, port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                opened[1].write(_passed_on(head).encode("latin-1"))
            await join((reader, writer), opened)
        except Refused as refusal:
            await _refuse(writer, refusal)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, ConnectionError):
            pass  # a client that does not speak to its end gets no answer
        finally:
            writer.close()

    def _check_login(self, head: str) -> None:
        wanted = base64.b64encode(f"{_USER}:{self._token}".encode())
        if not hmac.compare_digest(_login(head), wanted):
            raise Refused(_LOGIN_ASKED, "this proxy serves its own platform alone")

    async def open(self, host: str, port: int) -> Ends:
        """A connection to where the host and port lead. Raises Refused."""
        mirrored = self._served().get((host, port))
        if mirrored is not None:
            return await _reach(mirrored, host, port)
        if self._cluster and self._cluster.holds(host):
            return await _dial(self._cluster, host, port)
        if not await self.goes_out(host, port):
            self.refuse(host)
            raise Refused(OFFLINE, f"offline: {host} is not mirrored here")
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                addresses = await _resolve(host, port)
                if self._cluster and any(map(self._cluster.holds, addresses)):
                    raise Refused(
                        _FORBIDDEN, f"{host}:{port} has an address of the cluster, which is not dialled outside"
                    )
                if (host, port) not in self._loopback:
                    _check_outside(addresses, f"{host}:{port}")
                if self.offline and not all(map(_leads_here, addresses)):
                    # a name may lead elsewhere than when it was judged
                    self.refuse(host)
                    raise Refused(OFFLINE, f"offline: {host} is not mirrored here")
                return await _connect(addresses, port)
        except (OSError, TimeoutError) as error:
            raise Refused(_NO_ANSWER, f"{host}:{port} does not answer: {error or 'no answer'}") from None

    def leads_inside(self, host: str) -> bool:
        """Whether a host is the cluster's own."""
        return self._cluster is not None and self._cluster.holds(host)

    async def dial(self, host: str, port: int) -> Ends:
        """`open` for an API server. Raises DialError."""
        try:
            return await self.open(host, port)
        except Refused as refusal:
            raise DialError(refusal.message) from None

    async def goes_out(self, host: str, port: int) -> bool:
        """Whether what is not mirrored is tried at all: offline, only what the definition names on this machine."""
        return not self.offline or ((host, port) in self._loopback and await _is_local(host, port))

    def refuse(self, host: str) -> None:
        """Report a host that is asked for and cannot be had offline."""
        if host not in self.refused:
            self.refused.add(host)
            _log.warning("offline: %s is not mirrored, connections to it are refused", host)
            self.report()

    def report(self) -> None:
        """Tell that `refused`, or what names its hosts, is not as it was."""
        self._on_refused()


def _login(head: str) -> bytes:
    """What a request says of who it is from (basic authentication)."""
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        scheme, _, login = value.strip().partition(" ")
        if name.lower() == "proxy-authorization" and scheme.lower() == "basic":
            return login.strip().encode("latin-1")
    return b""


def _named(method: str, target: str) -> tuple[str, int]:
    """Host and port that a request is for. Raises Refused, ValueError."""
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        if int(port) not in _PORTS:
            raise Refused(400, f"{port} is no port")
        return host.strip("[]"), int(port)
    url = urlsplit(target)
    if url.scheme != "http" or not url.hostname:
        raise Refused(405, "this proxy takes CONNECT, and requests with a whole http:// URL")
    return url.hostname, url.port or _HTTP


def _passed_on(head: str) -> str:
    """The request as the server is sent it: its path alone, nothing that is the proxy's, one request a connection."""
    request, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = request.split(" ", 2)
    url = urlsplit(target)
    path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
    kept = [line for line in lines if line.partition(":")[0].lower() not in _PROXYS_OWN]
    return "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""])


async def _dial(cluster: Inside, host: str, port: int) -> Ends:
    try:
        return await cluster.dial(host, port)
    except DialError as error:
        raise Refused(_NO_ANSWER, f"{host}:{port} of the cluster does not answer: {error}") from None


async def _reach(mirrored: Path, host: str, port: int) -> Ends:
    """A connection to the mirror, which may not serve yet. Raises Refused."""
    try:
        return await asyncio.open_unix_connection(str(mirrored))
    except OSError as error:
        raise Refused(_NO_ANSWER, f"the mirror of {host}:{port} does not answer: {error.strerror}") from None


async def _resolve(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # what no name can be: an empty part, or one of more than 63 characters
        raise OSError(f"lookup {host}: no such host") from None
    return [str(address[0]).partition("%")[0] for *_, address in found]


def _leads_here(address: str) -> bool:
    """Whether the address is this machine's loopback, in any of its spellings (0.0.0.0 is one for the kernel)."""
    found = address_of(address)
    return found.is_loopback or found.is_unspecified


def _check_outside(addresses: list[str], place: str) -> None:
    """This machine's loopback and its link (where clouds tell a machine its secrets) are not served. Raises Refused."""
    if any(map(_leads_here, addresses)):
        raise Refused(_FORBIDDEN, f"{place} is this machine itself, which is not served")
    if any(address_of(address).is_link_local for address in addresses):
        raise Refused(_FORBIDDEN, f"{place} is on this machine's own link, which is not served")


async def _is_local(host: str, port: int) -> bool:
    try:
        return all(map(_leads_here, await _resolve(host, port)))
    except OSError:
        return False


async def _connect(addresses: list[str], port: int) -> Ends:
    """A connection to the first of the addresses that answers. Raises OSError."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(address, port)
    return await asyncio.open_connection(addresses[-1], port)


async def _refuse(writer: asyncio.StreamWriter, refusal: Refused) -> None:
    # The reason stands in the status line as well: that is what clients show of a proxy's refusal.
    body = f"{refusal.message}\n".encode()
    asked = 'Proxy-Authenticate: Basic realm="nerv"\r\n' if refusal.status == _LOGIN_ASKED else ""
    head = f"HTTP/1.1 {refusal.status} {refusal.message}\r\n{asked}Content-Length: {len(body)}\r\nConnection: close"
    writer.write(f"{head}\r\n\r\n".encode() + body)
    await writer.drain()


async def join(left: Ends, right: Ends) -> None:
    """Pass bytes both ways until both ends have ended."""

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
