"""Which hosts are the cluster's own, and the way to them. Pure but for the way, which is the network's.

The same addresses may belong to others in the network of this machine: NERV's process never dials one itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Inside:
    """`networks` are those of pods, Services, load balancers and nodes. `dial` raises DialError."""

    dial: Callable[[str, int], Awaitable[Ends]]
    networks: tuple[IPv4Network, ...]
    domain: str
    known: Callable[[], Set[str]] = frozenset
    """addresses that Services and nodes have now beside those"""

    def holds(self, host: str) -> bool:
        """Whether an address or a name is the cluster's."""
        try:
            address = address_of(host)
        except ValueError:
            name = host.lower().rstrip(".")
            return name.endswith((".svc", f".{self.domain}"))
        return str(address) in self.known() or any(address in network for network in self.networks)


def address_of(text: str) -> IPv4Address | IPv6Address:
    """The address that the kernel takes it for. Raises ValueError."""
    found: IPv4Address | IPv6Address = ip_address(text)
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found
