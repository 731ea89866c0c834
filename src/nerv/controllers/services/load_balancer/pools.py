"""Address pools: their syntax, what they hold, which Services may use them. Pure.

Rules and wording of internal/config of MetalLB 0.15.2.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from nerv.kube import objects, selectors
from nerv.kube.objects import Object

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_ENDLESS_BITS = 62
_ENDLESS = (1 << 63) - 1


class PoolError(ValueError):
    """A pool that MetalLB refuses; the text is its."""


@dataclass(frozen=True)
class Pool:
    """An IPAddressPool as allocation needs it."""

    name: str
    networks: tuple[Network, ...]
    auto_assign: bool = True
    avoid_buggy: bool = False
    allocation: Object | None = None
    """`spec.serviceAllocation`; None for a pool that everyone may use."""

    @classmethod
    def of(cls, obj: Object) -> Pool:
        """Raises PoolError."""
        spec = obj["spec"]
        name = objects.name(obj)
        addresses = spec.get("addresses") or []
        if not addresses:
            raise PoolError(f"parsing address pool {name}: pool has no prefixes defined")
        networks: list[Network] = []
        for text in addresses:
            try:
                networks += parse(text)
            except PoolError as error:
                place = f'invalid CIDR "{text}" in pool "{name}"'
                raise PoolError(f"parsing address pool {name}: {place}: {error}") from None
        allocation = spec.get("serviceAllocation")
        spaces = (allocation or {}).get("namespaces") or []
        if len(set(spaces)) != len(spaces):
            raise PoolError(f"parsing address pool {name}: duplicate definition in namespaces field")
        buggy = bool(spec.get("avoidBuggyIPs"))
        return cls(name, tuple(networks), spec.get("autoAssign") is not False, buggy, allocation)

    def holds(self, address: Address) -> bool:
        """Whether the address may be given from this pool."""
        if self.avoid_buggy and _is_buggy(address):
            return False
        return any(address.version == network.version and address in network for network in self.networks)

    def addresses(self, version: int) -> Iterator[Address]:
        """What may be given, in order."""
        for network in self.networks:
            if network.version == version:
                for address in network:
                    if not (self.avoid_buggy and _is_buggy(address)):
                        yield address

    def size(self, version: int) -> int:
        """How many addresses of a family the pool has; enormous ranges count as endless."""
        total = 0
        for network in self.networks:
            if network.version != version:
                continue
            if network.max_prefixlen - network.prefixlen >= _ENDLESS_BITS:
                return _ENDLESS
            total += network.num_addresses - (_buggy_in(network) if self.avoid_buggy else 0)
        return total

    @property
    def priority(self) -> int:
        """Lower is chosen first; 0 means none, chosen last."""
        return int((self.allocation or {}).get("priority") or 0)

    def admits(self, service: Object, namespaces: Mapping[str, Object]) -> bool:
        """Whether the pool's `serviceAllocation` lets the Service in."""
        if not self.allocation:
            return True
        spaces = set(self.allocation.get("namespaces") or [])
        by_label = self.allocation.get("namespaceSelectors") or []
        for name, namespace in namespaces.items():
            if any(selectors.from_object(each).matches(objects.labels(namespace)) for each in by_label):
                spaces.add(name)
        if spaces and objects.namespace(service) not in spaces:
            return False
        wanted = self.allocation.get("serviceSelectors") or []
        if wanted:
            return any(selectors.from_object(each).matches(objects.labels(service)) for each in wanted)
        # selectors of namespaces that match none let nobody in by name, and everybody by label
        return True


def parse(text: str) -> list[Network]:
    """The networks of a CIDR or of a range `first-last`. Raises PoolError."""
    if "-" not in text:
        try:
            # host bits are cut off, as Go does
            return [ipaddress.ip_network(text, strict=False)] if "/" in text else _no_prefix(text)
        except ValueError:
            raise PoolError(f'invalid CIDR "{text}"') from None
    first, _, last = text.partition("-")
    start = _bound(text, "start", first)
    end = _bound(text, "end", last)
    if start.version != end.version or int(start) > int(end):
        raise PoolError(f'invalid IP range "{text}": start IP "{start}" is after the end IP "{end}"')
    return list(ipaddress.summarize_address_range(start, end))


def _no_prefix(text: str) -> list[Network]:
    raise PoolError(f'invalid CIDR "{text}"')


def _bound(text: str, which: str, part: str) -> Address:
    try:
        return ipaddress.ip_address(part.strip())
    except ValueError:
        raise PoolError(f'invalid IP range "{text}": invalid {which} IP "{part}"') from None


def validate(listed: Iterable[Object]) -> list[Pool]:
    """All pools together. Raises PoolError with the first thing wrong, overlaps included."""
    pools: list[Pool] = []
    for obj in sorted(listed, key=objects.name):
        pool = Pool.of(obj)
        for network in pool.networks:
            for former in (each for other in pools for each in other.networks):
                if network.version == former.version and network.overlaps(former):
                    place = f'CIDR "{network}" in pool "{pool.name}"'
                    raise PoolError(f'{place} overlaps with already defined CIDR "{former}"')
        pools.append(pool)
    return pools


def owner(pools: Iterable[Pool], addresses: Iterable[Address]) -> Pool | None:
    """The pool that holds all of the addresses."""
    wanted = list(addresses)
    return next((pool for pool in pools if wanted and all(map(pool.holds, wanted))), None)


def _is_buggy(address: Address) -> bool:
    """IPv4 addresses that some firmware takes for network or broadcast addresses."""
    return address.version == 4 and int(address) & 0xFF in (0, 255)


def _buggy_in(network: Network) -> int:
    if network.version != 4:
        return 0
    if network.prefixlen <= 24:
        return 2 * (network.num_addresses >> 8)
    return sum(_is_buggy(each) for each in {network[0], network[-1]})
