"""Where pods listen that share this machine's network: a loopback address for each, and ports that are free there."""

from __future__ import annotations

import ipaddress
import itertools
import socket
from collections.abc import Callable
from pathlib import Path

from nerv.errors import NervError
from nerv.network.routes import Inside

_BLOCKS = range(42, 120)
"""Second numbers of the blocks 127.N.0.0/16 that may be used: published addresses have theirs above."""
_FIRST, _LAST = 2, (1 << 16) - 2
_RESERVED = 1024
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


class Places:
    """Cluster addresses of pods -> loopback addresses in one block, and their ports.

    Only ports that were asked for lead anywhere: what else listens on this machine is not the cluster's.
    """

    def __init__(self, block: int, is_free: Callable[[str, int], bool] | None = None) -> None:
        self._block = block
        self._is_free = is_free or can_bind
        self._addresses: dict[str, str] = {}
        self._ports: dict[tuple[str, int], int] = {}

    def add(self, address: str) -> str:
        """The loopback address of a cluster address: with the same last two numbers where that is free."""
        if address in self._addresses:
            return self._addresses[address]
        taken = set(self._addresses.values())
        start = int(ipaddress.IPv4Address(address)) & 0xFFFF
        for step in range(_LAST):
            offset = _FIRST + (start - _FIRST + step) % (_LAST - _FIRST)
            place = f"127.{self._block}.{offset >> 8}.{offset & 0xFF}"
            if place not in taken:
                self._addresses[address] = place
                return place
        raise NervError(f"every address of 127.{self._block}.0.0/16 is taken", "the cluster has too many pods for it")

    def remove(self, address: str) -> None:
        """Forget an address and its ports."""
        self._addresses.pop(address, None)
        for key in [key for key in self._ports if key[0] == address]:
            del self._ports[key]

    def port(self, address: str, port: int) -> int:
        """The port to listen at instead of `port`: the same where this user may have it and nobody else has."""
        if (address, port) not in self._ports:
            place = self.add(address)
            usable = self._is_free(place, port) and port not in self._used(address)
            self._ports[address, port] = port if usable else self._another(address, place, port)
        return self._ports[address, port]

    def _another(self, address: str, place: str, port: int) -> int:
        first = port + 8000 if port < _RESERVED else port + 1
        used = self._used(address)
        for candidate in itertools.chain(range(first, 1 << 16), range(_RESERVED, first)):
            if candidate not in used and self._is_free(place, candidate):
                return candidate
        raise NervError(f"no port is free at {place}", "another program listens on all of them")

    def _used(self, address: str) -> set[int]:
        return {given for (owner, _), given in self._ports.items() if owner == address}

    def find(self, address: str, port: int) -> Inside | None:
        """Where connections to a port of a pod go; None when nothing was to listen there."""
        given = self._ports.get((address, port))
        return Inside(self._addresses[address], given) if given else None


def can_bind(address: str, port: int) -> bool:
    """Whether a program without capabilities, as those of pods are, may listen there now."""
    if port < int(_UNPRIVILEGED.read_text()):
        return False
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except OSError:
            return False
    return True


def claim_block() -> tuple[int, socket.socket]:
    """A block that no other NERV of this machine has, and the socket that holds it until it is closed."""
    for block in _BLOCKS:
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0nerv.loopback.{block}")
        except OSError:
            holder.close()
            continue
        return block, holder
    raise NervError("every loopback block is taken by another platform", "`nerv list` shows those of this user")
