"""What the running half asks of the cluster's network, whichever driver provides it (`namespaces.py`, `proxy.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from nerv.network.routes import Route


@dataclass(frozen=True)
class NetworkConfig:
    """Where the network keeps its sockets and which addresses it has. `run_folder` is 0700 and its path short."""

    run_folder: Path
    pod_cidr: str = "10.42.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    dns_address: str = "10.43.0.10"
    cluster_domain: str = "cluster.local"


class DialError(ConnectionError):
    """A cluster address could not be reached; in Go's words: `dial tcp 10.43.0.5:80: connect: connection refused`."""


class NameTable(NamedTuple):
    """DNS records: host names to IPv4 addresses, service names (_port._protocol.name) to (port, host name)."""

    addresses: Mapping[str, tuple[str, ...]] = {}
    services: Mapping[str, tuple[tuple[int, str], ...]] = {}


Isolation = Literal["user", "root", "none"]
"""What stands between a program and the machine's files where it shares the machine's network: mount and process
namespaces in a user namespace of its own, the same made by root, or nothing."""


class Local(NamedTuple):
    """How a pod stands in this machine's own network. `port` says where its programs listen instead of a port."""

    address: str
    """loopback address that is this pod's alone"""
    port: Callable[[int], int]
    api: tuple[str, int]
    """where the API server listens on loopback"""
    proxy: str
    """URL of the SOCKS proxy that leads to cluster addresses and names, login included"""
    isolation: Isolation


class PodNetwork(NamedTuple):
    """The network of one pod as the launcher enters it: paths of its user and network namespaces.

    Where it has none (`local`), they are empty.
    """

    user_namespace: str
    network_namespace: str
    address: str
    local: Local | None = None


class Network(Protocol):
    """The driver's face. `name` is how users know it."""

    name: str

    @property
    def gaps(self) -> tuple[str, ...]:
        """One line for each thing that it cannot do here."""
        ...

    @property
    def config(self) -> NetworkConfig: ...

    @property
    def egress_socket(self) -> Path:
        """A unix socket that answers HTTP CONNECT to cluster addresses."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def renewed(self) -> None:
        """Return when the network had died under its pods and stands again: they need networks of their own anew.

        Raises NervError when it cannot be had again. A driver that cannot die never returns.
        """
        ...

    async def dial(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a cluster address or name. Raises DialError."""
        ...

    async def set_routes(self, routes: Iterable[Route]) -> None:
        """Replace the table of routes."""
        ...

    async def set_names(self, names: Mapping[str, tuple[str, ...]]) -> None:
        """Replace the host names answered beside those of Services (the mirror's)."""
        ...

    async def set_service_names(self, names: NameTable) -> None:
        """Replace the records of Services."""
        ...

    async def add_pod(self, name: str, address: str) -> PodNetwork:
        """Make the network of a pod; one of the same name is replaced."""
        ...

    def host(self, address: str) -> PodNetwork:
        """The cluster's own network, for a pod that uses its node's (`address`)."""
        ...

    async def remove_pod(self, name: str) -> None:
        """Take it away; an unknown name is no error."""
        ...
