"""LoadBalancer addresses on this machine: each in a loopback block, on ports that this user may bind.

192.168.1.111 becomes 127.168.1.111 where that is free, else 127.169.1.111 and so on. Who may bind low ports gets the
Service's own ports; others get them from 8000 up (443 becomes 8443). What was chosen is recorded, and kept while it is
free. Where a Service has both 80 and 443, the redirect from http to https is answered here, with the port that was
published: Traefik's own redirect would name a port that nobody reaches from outside.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import NamedTuple

from nerv.kube.objects import Object
from nerv.kube.resources import SERVICES
from nerv.network import streams
from nerv.network.driver import DialError, Network
from nerv.network.informing import Informers
from nerv.network.records import load_balancer_addresses

_log = logging.getLogger(__name__)
_HTTP, _HTTPS = 80, 443
_HIGH = 8000
_BLOCKS = 86
_LONGEST_HEAD = 1 << 14


class Published(NamedTuple):
    """`address`:`port` of the cluster is reached at `host`:`host_port` of this machine."""

    address: str
    port: int
    host: str
    host_port: int


class Publisher:
    """Publishes what load balancers hand out. `state_file` (JSON) keeps the choices. `run` follows the API."""

    def __init__(self, informers: Informers, network: Network, state_file: Path) -> None:
        self._informers = informers
        self._network = network
        self._state_file = state_file
        self._servers: dict[str, list[asyncio.Server]] = {}
        self._ports: dict[str, tuple[int, ...]] = {}
        self._changed = asyncio.Event()
        self._watchers: list[Callable[[], None]] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.published: list[Published] = []

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after `published` has changed."""
        self._watchers.append(callback)

    async def run(self) -> None:
        """Follow Services until cancelled, then stop listening."""
        services = self._informers.of(SERVICES)
        end = services.on_change(lambda old, new: self._changed.set())
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self.publish(wanted(services.list()))
        finally:
            end()
            await self.publish({})

    async def publish(self, ports: dict[str, tuple[int, ...]]) -> None:
        """Listen for exactly these addresses and ports of the cluster."""
        if ports == self._ports:
            return
        for address in [address for address, before in self._ports.items() if ports.get(address) != before]:
            self._close(address)
        for address in ports.keys() - self._servers.keys():
            await self._open(address, ports[address])
        self._ports = dict(ports)
        self.published.sort()
        for callback in self._watchers:
            callback()

    def _close(self, address: str) -> None:
        for server in self._servers.pop(address, []):
            server.close()
        self.published = [entry for entry in self.published if entry.address != address]

    async def _open(self, address: str, ports: tuple[int, ...]) -> None:
        recorded = self._recorded()
        for host, offset in _places(address, recorded.get(address)):
            sockets = _bind(host, [port + offset if port < _HIGH else port for port in ports])
            if sockets is not None:
                break
        else:
            _log.warning("%s cannot be published: its ports are taken in every loopback block", address)
            return
        entries = [
            Published(address, port, host, each.getsockname()[1]) for port, each in zip(ports, sockets, strict=True)
        ]
        secure = next((entry.host_port for entry in entries if entry.port == _HTTPS), 0)
        servers = []
        for entry, listening in zip(entries, sockets, strict=True):
            serve = self._redirect(secure) if entry.port == _HTTP and secure else self._join(entry)
            servers.append(await asyncio.start_server(serve, sock=listening))
        self._servers[address] = servers
        self.published += entries
        recorded[address] = {"host": host, "offset": offset}
        self._record(recorded)

    def _join(self, entry: Published) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                inside = await self._network.dial(entry.address, entry.port)
            except DialError as error:
                _log.debug("%s", error)
                writer.transport.abort()
                return
            await streams.join((reader, writer), inside)

        return lambda reader, writer: self._spawn(serve(reader, writer))

    def _redirect(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(redirect(head[:_LONGEST_HEAD].decode("latin-1"), port))
                await writer.drain()
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
                pass  # a client that sends no request gets no answer
            writer.close()

        return lambda reader, writer: self._spawn(serve(reader, writer))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def _recorded(self) -> dict[str, dict[str, str | int]]:
        try:
            recorded: dict[str, dict[str, str | int]] = json.loads(self._state_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return recorded

    def _record(self, recorded: dict[str, dict[str, str | int]]) -> None:
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        self._state_file.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")


def wanted(services: list[Object]) -> dict[str, tuple[int, ...]]:
    """The TCP ports of every LoadBalancer address; Services may share one."""
    found: dict[str, set[int]] = {}
    for service in services:
        ports = {port["port"] for port in service["spec"].get("ports", []) if port.get("protocol", "TCP") == "TCP"}
        for address in load_balancer_addresses(service):
            found.setdefault(address, set()).update(ports)
    return {address: tuple(sorted(ports)) for address, ports in found.items() if ports}


def blocks(address: str) -> list[str]:
    """The loopback addresses to try for an address, best first."""
    _, second, third, fourth = (int(part) for part in address.split("."))
    return [f"127.{1 + (second - 1 + step) % 254}.{third}.{fourth}" for step in range(_BLOCKS)]


def redirect(head: str, port: int) -> bytes:
    """The answer to an http request: the same address over https at `port`."""
    lines = head.split("\r\n")
    target = [*lines[0].split(" "), "", ""][1]
    path = target if target.startswith("/") else "/"
    named = next((line.split(":", 1)[1].strip() for line in lines[1:] if line.lower().startswith("host:")), "")
    host = named.rsplit(":", 1)[0] if named.rsplit(":", 1)[-1].isdecimal() else named
    if not host:
        return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    place = f"https://{host}{'' if port == _HTTPS else f':{port}'}{path}"
    answer = f"HTTP/1.1 308 Permanent Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    return answer.encode("latin-1")


def _places(address: str, recorded: dict[str, str | int] | None) -> list[tuple[str, int]]:
    places = [(host, offset) for offset in (0, _HIGH) for host in blocks(address)]
    if recorded:
        places.insert(0, (str(recorded["host"]), int(recorded["offset"])))
    return places


def _bind(host: str, ports: list[int]) -> list[socket.socket] | None:
    """Listening sockets for all the ports, or None when one is taken or not allowed."""
    sockets: list[socket.socket] = []
    for port in ports:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sockets.append(listening)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(128)
        except OSError:
            for each in sockets:
                each.close()
            return None
    return sockets
