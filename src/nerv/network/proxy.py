"""Driver `proxy`: the cluster's network where user namespaces are refused, by proxies in NERV's own process.

Pods share this machine's network: their programs listen on loopback, each pod at an address of its own (`places.py`),
and reach cluster addresses through a SOCKS proxy. NERV and a real API server reach them by `dial` and by HTTP CONNECT
on the egress socket. All resolve addresses and names by the network's table; nothing dials a cluster address itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import ExitStack
from weakref import WeakSet

from nerv import process
from nerv.network import dns, places, routes
from nerv.network.driver import DialError, Isolation, Local, NameTable, NetworkConfig, PodNetwork
from nerv.network.joins import Accepted, Half, Inward
from nerv.network.namespaces import isolated_python
from nerv.network.routes import Inside, Outside, Route, Target
from nerv.network.socks import Socks

_STREAM_LIMIT = 1 << 20
_DIAL_SECONDS = 10.0
_API_PORT = 443
_LOOPBACK = "127.0.0.1"
_TRY_SECONDS = 10.0
_ISOLATION_GAPS: Mapping[Isolation, tuple[str, ...]] = {
    "user": (),
    "root": (),
    "none": (
        "programs of pods see this user's files and processes, and run as this user; read-only mounts are not enforced",
        "paths of volumes exist only in the arguments and the environment of a program, where NERV rewrites them",
    ),
}


class ProxyNetwork:
    """The cluster's network on loopback. `start` before anything else; `stop` ends what listens."""

    name = "proxy"

    def __init__(self, config: NetworkConfig, isolated: Isolation | None = None) -> None:
        self.config = config
        self.egress_socket = config.run_folder / "egress.sock"
        self._isolated = isolated
        self._isolation: Isolation = isolated or "none"
        self._held = ExitStack()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Future[None]] = set()
        self._live: WeakSet[Half] = WeakSet()
        self._places = places.Places(0)
        self._login = ("nerv", secrets.token_urlsafe(24))
        self._proxy = self._api = (_LOOPBACK, 0)
        self._table: dict[tuple[str, int], tuple[Target, ...]] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._service_names = NameTable()
        self._zone = dns.Zone(config.cluster_domain, {}, {})
        self._pods: dict[str, str] = {}
        self._turn = 0

    @property
    def gaps(self) -> tuple[str, ...]:
        """What this driver cannot do here."""
        return (
            "pods are not isolated from each other: every user of this machine reaches what they listen at on loopback",
            "Traefik reaches backends over http and https alone: no TCP, UDP or h2c",
            "programs that dial cluster addresses or resolve cluster names themselves, without a proxy, reach nothing",
            *_ISOLATION_GAPS[self._isolation],
        )

    async def start(self) -> None:
        """Listen. Raises NervError when no loopback block is free."""
        self.config.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.egress_socket.unlink(missing_ok=True)
        self._isolation = self._isolated or await _find_isolation()
        block, holder = places.claim_block()
        self._held.enter_context(holder)
        self._places = places.Places(block)
        loop = asyncio.get_running_loop()
        old = os.umask(0o177)
        try:
            inward = await loop.create_unix_server(
                lambda: self._joined(Inward(self._resolve, self._spawn)), str(self.egress_socket)
            )
        finally:
            os.umask(old)
        api = await loop.create_server(
            lambda: self._joined(Accepted(self._api_targets, self._spawn)), _LOOPBACK, 0, backlog=512
        )
        socks = await loop.create_server(
            lambda: self._joined(Socks(self._resolve, self._spawn, self._login)), _LOOPBACK, 0, backlog=512
        )
        self._servers = [inward, api, socks]
        self._api, self._proxy = api.sockets[0].getsockname(), socks.sockets[0].getsockname()

    async def renewed(self) -> None:
        """Never: it lives in NERV's own process."""
        await asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        """End every listener and connection; pods are ended by their nodes."""
        for server in self._servers:
            server.close()
        self._servers = []
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for half in tuple(self._live):
            for end in (half, half.peer):
                if end is not None and hasattr(end, "transport"):
                    end.transport.abort()
        await asyncio.sleep(0)  # the transports close in the next turn
        self.egress_socket.unlink(missing_ok=True)
        self._held.close()

    def _joined(self, half: Half) -> Half:
        """Remember a connection, so that it ends with the network."""
        self._live.add(half)
        return half

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resolve(self, host: str, port: int) -> list[Target]:
        """Where connections really go, best first. Raises LookupError for an unknown name."""
        self._turn += 1
        addresses = self._zone.lookup(host)
        found = (target for each in addresses for target in routes.resolve(self._table, each, port, self._turn))
        placed = (self._places.find(*target) if isinstance(target, Inside) else target for target in found)
        return [target for target in placed if target is not None]

    def _api_targets(self) -> list[Target]:
        return self._resolve(str(ipaddress.IPv4Network(self.config.service_cidr)[1]), _API_PORT)

    async def dial(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a cluster address or name. Raises DialError."""
        try:
            targets = self._resolve(host, port)
        except LookupError as error:
            raise DialError(f"dial tcp: {error.args[0]}") from None
        problem = "connect: connection refused"
        for target in targets:
            try:
                async with asyncio.timeout(_DIAL_SECONDS):
                    if isinstance(target, Outside):
                        return await asyncio.open_unix_connection(target.path, limit=_STREAM_LIMIT)
                    return await asyncio.open_connection(target.address, target.port, limit=_STREAM_LIMIT)
            except TimeoutError:
                problem = "i/o timeout"
            except OSError as error:
                problem = f"connect: {os.strerror(error.errno).lower() if error.errno else error}"
        raise DialError(f"dial tcp {host}:{port}: {problem}")

    async def set_routes(self, wanted: Iterable[Route]) -> None:
        """Replace the table of routes."""
        self._table = routes.table(wanted)

    async def set_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        """Replace the host names answered beside those of Services."""
        self._names = {name.lower().rstrip("."): addresses for name, addresses in names.items()}
        self._set_zone()

    async def set_service_names(self, names: NameTable) -> None:
        """Replace the records of Services."""
        self._service_names = names
        self._set_zone()

    def _set_zone(self) -> None:
        self._zone = dns.Zone(self.config.cluster_domain, {**self._names, **self._service_names.addresses}, {})

    async def add_pod(self, name: str, address: str) -> PodNetwork:
        """Give a pod its place; one of the same name is replaced."""
        await self.remove_pod(name)
        self._pods[name] = address
        return self.host(address)

    def host(self, address: str) -> PodNetwork:
        """The place of a cluster address."""

        def port(wanted: int) -> int:
            return self._places.port(address, wanted)

        host, number = self._proxy[:2]
        url = f"socks5://{':'.join(self._login)}@{host}:{number}"
        local = Local(self._places.add(address), port, (self._api[0], self._api[1]), url, self._isolation)
        return PodNetwork("", "", address, local)

    async def remove_pod(self, name: str) -> None:
        """Take it away; an unknown name is no error."""
        if address := self._pods.pop(name, None):
            self._places.remove(address)


async def _find_isolation() -> Isolation:
    """The best that this machine allows."""
    tries: tuple[tuple[str, Isolation], ...] = (("try_user", "user"), ("try_root", "root"))
    for function, found in tries:
        command = isolated_python("nerv.network.isolation", function)
        if (await process.run(command, check=False, timeout=_TRY_SECONDS)).code == 0:
            return found
    return "none"
