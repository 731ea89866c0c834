"""What can be wrong with `spec.components.metallb` beside the other parts of the definition.

Rules: MetalLB answers ARP for every address of a pool, so an address that a machine has already would be fought over
(the release notes of 0.15 tell of refusing node addresses), and one outside the nodes' network is never asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from nerv.components.metallb.settings import MetallbSettings
from nerv.platform.findings import Finding
from nerv.platform.models import BasePlatform
from nerv.platform.types import AddressRange

POOL = ("spec", "components", "metallb", "pool")


def definition(settings: MetallbSettings, platform: BasePlatform) -> Iterator[Finding]:
    """Findings about the pool."""
    if not settings.enabled:
        return
    for position, addresses in enumerate(settings.pool):
        path = (*POOL, position)
        yield from _outside(addresses, platform, path)
        for owner, address in _taken(platform):
            if address in addresses:
                hint = f"leave {address} out of the pool"
                yield Finding(path, f"pool {addresses} holds the address of {owner}", hint)
        for other in settings.pool[:position]:
            if addresses.overlaps(other):
                yield Finding(path, f"pool {addresses} overlaps {other}", "MetalLB refuses pools that share addresses")


def _outside(addresses: AddressRange, platform: BasePlatform, path: tuple[str | int, ...]) -> Iterator[Finding]:
    cidr = platform.spec.network.cidr
    if addresses.first not in cidr or addresses.last not in cidr:
        hint = "MetalLB's layer 2 mode announces addresses of that network only"
        yield Finding(path, f"pool {addresses} is outside the nodes' network {cidr}", hint)
        return
    # a whole-network entry holds the network and broadcast addresses; explicit ranges may not
    if cidr.prefixlen < 31 and (addresses.first == cidr.network_address or addresses.last == cidr.broadcast_address):
        yield Finding(path, f"pool {addresses} holds the first or last address of {cidr}", "no host can have these")


def _taken(platform: BasePlatform) -> Iterator[tuple[str, IPv4Address]]:
    network = platform.spec.network
    yield "the gateway", network.gateway
    if network.api_address is not None:
        yield "the API server", network.api_address
    # each address once: that two have the same one is another rule's finding
    nodes = {node.address: node.name for node in reversed(platform.spec.nodes)}
    yield from ((f"node `{name}`", address) for address, name in nodes.items())
    yield from (("a name server", server) for server in network.dns if server != network.gateway)
