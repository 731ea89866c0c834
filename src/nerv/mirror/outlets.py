"""Ways out for programs in pods: a place in the cluster for every host that a source object names and nobody mirrors.

Sources may be added in Git, by anyone who may commit, without the definition: so their hosts are taken from the objects
in the API. The cluster's names then lead each to an address of its own, and that to a socket which tunnels untouched to
the host outside. Offline a host outside of this machine has none and is reported. What is the cluster's own needs none.

Programs outside of the cluster's network use the proxy, which needs no addresses; so do those inside, for https.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.mirror.inside import Inside
from nerv.mirror.proxy import Proxy, Refused, join
from nerv.network.informing import Informers

_log = logging.getLogger(__name__)
_GROUP = "source.toolkit.fluxcd.io"
SOURCES = (
    Resource(_GROUP, "v1", "gitrepositories", "GitRepository"),
    Resource(_GROUP, "v1", "helmrepositories", "HelmRepository"),
    Resource(_GROUP, "v1", "ocirepositories", "OCIRepository"),
    Resource(_GROUP, "v1", "buckets", "Bucket"),
)
# For tests between networks (RFC 2544): no host of the world outside has such an address.
_ADDRESSES = IPv4Network("198.18.0.0/15")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_PORTS = {"https": 443, "http": 80, "ssh": 22, "oci": 443}


class Place(NamedTuple):
    """Where a source is."""

    host: str
    port: int


class Registry(Protocol):
    """Gives a socket an address in the cluster, and tells when the cluster's own addresses are others."""

    async def register(self, address: str, port: int, unix_path: Path) -> None: ...

    async def unregister(self, address: str, port: int) -> None: ...

    def on_addresses(self, callback: Callable[[], None]) -> Callable[[], None]: ...


def place_of(source: Object) -> Place | None:
    """The host and port that a source object names, None where it names none."""
    spec = source.get("spec") or {}
    url = spec.get("url") or ""
    if not url and spec.get("endpoint"):
        url = f"{'http' if spec.get('insecure') else 'https'}://{spec['endpoint']}"
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return Place(parts.hostname, port) if parts.hostname and port else None


def keeps_address(host: str) -> bool:
    """Whether the cluster's network has a host at its own address: an address is never looked up by name."""
    try:
        address = IPv4Address(host)
    except ValueError:
        return False
    # 127.0.0.1 is the pod itself, link-local ones are of each machine's own link, and some are nobody's or many hosts'
    own = address.is_loopback or address.is_link_local
    nobodys = address.is_multicast or address.is_reserved or address in _THIS_NETWORK or address in _ADDRESSES
    return not own and not nobodys


def reached_at(host: str, mirror_address: str, inside: Inside) -> str:
    """Where programs in pods reach a host that is mirrored; an address of the cluster's own stays the cluster's."""
    return host if keeps_address(host) and not inside.holds(host) else mirror_address


class Outlets:
    """Keeps the places equal to the sources. `run` until cancelled; `named` says which sources name a host."""

    def __init__(
        self,
        informers: Informers,
        proxy: Proxy,
        served: Set[tuple[str, int]],
        served_address: str,
        folder: Path,
        registry: Registry,
        set_names: Callable[[Mapping[str, tuple[str, ...]]], Awaitable[None]],
    ) -> None:
        self._informers = informers
        self._proxy = proxy
        self._served = served
        # a host that is mirrored at another port has an address already
        self._addresses = {host: served_address for host, _ in served}
        self._given = 0
        self._folder = folder
        self._registry = registry
        self._set_names = set_names
        self._changed = asyncio.Event()
        self._servers: dict[Place, asyncio.Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._named: dict[str, list[str]] = {}

    def named(self, host: str) -> tuple[str, ...]:
        """Sources that name `host`, as `GitRepository flux-system/home`."""
        return tuple(self._named.get(host, ()))

    async def run(self) -> None:
        """Follow the sources until cancelled."""
        informers = [self._informers.of(resource) for resource in SOURCES]
        ends = [informer.on_change(lambda old, new: self._changed.set()) for informer in informers]
        # an address outside may become a Service's or a node's, and then leads there
        ends.append(self._registry.on_addresses(self._changed.set))
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._keep([obj for informer in informers for obj in informer.list()])
        finally:
            for end in ends:
                end()
            for server in self._servers.values():
                server.close()
            for task in self._tasks:
                task.cancel()

    async def _keep(self, sources: Iterable[Object]) -> None:
        before, self._named = self._named, {}
        wanted = set()
        for source in sources:
            place = place_of(source)
            if place is not None and not self._proxy.leads_inside(place.host):
                metadata = source["metadata"]
                name = f"{source['kind']} {metadata['namespace']}/{metadata['name']}"
                self._named.setdefault(place.host, []).append(name)
                wanted.add(place)
        wanted -= {Place(*place) for place in self._served}
        if self._proxy.offline:
            wanted -= await self._report(wanted, before.keys())
        if wanted == self._servers.keys():
            return
        for place in self._servers.keys() - wanted:
            self._servers.pop(place).close()
            await self._registry.unregister(self._addresses[place.host], place.port)
        for place in sorted(wanted - self._servers.keys()):
            await self._open(place)
        named = {place.host for place in wanted if not keeps_address(place.host)}
        await self._set_names({host: (self._addresses[host],) for host in named})

    async def _report(self, wanted: Set[Place], before: Set[str]) -> set[Place]:
        """Report the hosts that cannot be had offline, and no longer those that no source names any more."""
        self._proxy.refused -= before - self._named.keys()
        away = {place for place in wanted if not await self._proxy.goes_out(*place)}
        for place in away:
            self._proxy.refuse(place.host)
        self._proxy.report()
        return away

    async def _open(self, place: Place) -> None:
        if keeps_address(place.host):
            self._addresses[place.host] = place.host
        elif place.host not in self._addresses:
            self._given += 1
            self._addresses[place.host] = str(_ADDRESSES[self._given])
        address = self._addresses[place.host]
        socket = self._folder / f"out-{address}-{place.port}.sock"
        socket.unlink(missing_ok=True)
        self._servers[place] = await asyncio.start_unix_server(functools.partial(self._accept, place), str(socket))
        socket.chmod(0o600)
        await self._registry.register(address, place.port, socket)

    def _accept(self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._tunnel(place, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tunnel(self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._proxy.leads_inside(place.host):
                # the way into the cluster would lead to this very socket, until `_keep` has closed it
                raise ConnectionRefusedError("it has become the cluster's own")
            await join((reader, writer), await self._proxy.open(*place))
        except (Refused, ConnectionError) as error:
            _log.info("a pod's connection to %s:%d: %s", *place, error)
            writer.transport.abort()
        finally:
            writer.close()
