"""Which address a Service gets. Pure: pools and what others hold go in, addresses or MetalLB's refusal come out.

Rules and wording of internal/allocator and controller/service.go of MetalLB 0.15.2. What is assigned is read from the
Services' status alone, so there is no state that could differ from it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nerv.controllers.services.load_balancer import pools as address_pools
from nerv.controllers.services.load_balancer import resources
from nerv.controllers.services.load_balancer.pools import Address, Pool
from nerv.kube import objects
from nerv.kube.objects import Object


class Refusal(Exception):
    """Why a Service gets no address; the text is MetalLB's."""


@dataclass(frozen=True)
class Assignment:
    """Addresses and the pool they are from."""

    addresses: tuple[Address, ...]
    pool: str


@dataclass(frozen=True)
class Holder:
    """A Service that has addresses."""

    key: str
    addresses: tuple[Address, ...]
    ports: frozenset[tuple[str, int]]
    sharing: str
    backend: str


@dataclass(frozen=True)
class Allocator:
    """Everything a decision depends on. `holders` are the other Services with addresses."""

    pools: Sequence[Pool]
    holders: Sequence[Holder]
    namespaces: Mapping[str, Object]

    def keep(self, service: Object) -> Assignment:
        """The addresses that the Service has already. Raises Refusal where it may not keep them."""
        present = current(service)
        pool = self._assignable(service, present)
        wanted_pool = resources.annotation(dict(objects.annotations(service)), resources.POOL_ANNOTATION)
        if wanted_pool and wanted_pool != pool.name:
            raise Refusal("another pool is wanted")
        wanted = requested(service)
        if wanted and set(wanted) != set(present):
            raise Refusal("other addresses are wanted")
        return Assignment(present, pool.name)

    def assign(self, service: Object) -> Assignment:
        """New addresses. Raises Refusal."""
        wanted_pool = resources.annotation(dict(objects.annotations(service)), resources.POOL_ANNOTATION)
        wanted = requested(service)
        if wanted:
            return self._requested(service, wanted, wanted_pool)
        if wanted_pool:
            return self._from_named(service, wanted_pool)
        pinned = sorted(
            (pool for pool in self.pools if pool.allocation and pool.auto_assign and self._admits(pool, service)),
            key=lambda pool: (pool.priority == 0, pool.priority),
        )
        open_pools = [pool for pool in self.pools if not pool.allocation and pool.auto_assign]
        for candidates in (pinned, open_pools):
            for pool in candidates:
                free = self._free(service, pool)
                if free:
                    return Assignment(free, pool.name)
        raise Refusal("no available IPs")

    def _requested(self, service: Object, wanted: tuple[Address, ...], wanted_pool: str) -> Assignment:
        if {each.version for each in wanted} != set(families(service)):
            raise Refusal(f"requested loadBalancer IP(s) {quoted(wanted)} does not match the ipFamily of the service")
        pool = self._assignable(service, wanted)
        if wanted_pool and wanted_pool != pool.name:
            text = f"requested loadBalancer IP(s) {quoted(wanted)} is not compatible with requested address pool"
            raise Refusal(f"{text} {wanted_pool}")
        return Assignment(wanted, pool.name)

    def _from_named(self, service: Object, name: str) -> Assignment:
        pool = next((each for each in self.pools if each.name == name), None)
        if pool is None:
            raise Refusal(f'unknown pool "{name}"')
        free = self._free(service, pool)
        if not free:
            # a pool without a free address hands on "no address", which no pool allows
            raise Refusal('["<nil>"] is not allowed in config')
        self._assignable(service, free)
        return Assignment(free, name)

    def _free(self, service: Object, pool: Pool) -> tuple[Address, ...]:
        """The first usable address of each of the Service's families; empty unless all are there."""
        found = []
        for version in families(service):
            usable = (each for each in pool.addresses(version) if not self._conflict(service, each))
            address = next(usable, None)
            if address is not None:
                found.append(address)
            elif service["spec"].get("ipFamilyPolicy") != "PreferDualStack":
                return ()
        return tuple(found)

    def _assignable(self, service: Object, addresses: tuple[Address, ...]) -> Pool:
        pool = address_pools.owner(self.pools, addresses)
        if pool is None:
            raise Refusal(f"{quoted(addresses)} is not allowed in config")
        if not self._admits(pool, service):
            raise Refusal(f"pool {pool.name} not compatible for ip assignment")
        if len(addresses) > 2:
            raise Refusal(f"more than two addresses {quoted(addresses)}")
        if len({each.version for each in addresses}) != len(addresses):
            raise Refusal(" ".join(f'"{each}"' for each in addresses) + " has the same family")
        for address in addresses:
            conflict = self._conflict(service, address)
            if conflict:
                raise Refusal(conflict)
        return pool

    def _admits(self, pool: Pool, service: Object) -> bool:
        return pool.admits(service, self.namespaces)

    def _conflict(self, service: Object, address: Address) -> str:
        """Why the Service cannot have an address that others may hold; empty if it can."""
        others = [each for each in self.holders if address in each.addresses]
        if not others:
            return ""
        mine = holder(service)
        names = ",".join(each.key for each in others)
        for other in others:
            problem = _sharing_problem(other, mine)
            if problem:
                return f'can\'t change sharing key for "{mine.key}", address also in use by {names}'
            for protocol, port in sorted(mine.ports & other.ports):
                return f'port {protocol}/{port} is already in use on "{address}"'
        return ""


def _sharing_problem(existing: Holder, new: Holder) -> bool:
    if not existing.sharing or not new.sharing:
        return True
    return existing.sharing != new.sharing or existing.backend != new.backend


def holder(service: Object) -> Holder:
    """What the Service holds or would hold."""
    spec = service["spec"]
    ports = frozenset((each.get("protocol", "TCP"), each["port"]) for each in spec.get("ports") or [])
    sharing = resources.annotation(dict(objects.annotations(service)), resources.SHARING_ANNOTATION)
    local = spec.get("externalTrafficPolicy") == "Local"
    backend = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    return Holder(objects.key(service), current(service), ports, sharing, backend if local else "")


def current(service: Object) -> tuple[Address, ...]:
    """The addresses in the Service's status."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return tuple(ipaddress.ip_address(each["ip"]) for each in ingress if each.get("ip"))


def requested(service: Object) -> tuple[Address, ...]:
    """The addresses that annotation or spec ask for. Raises Refusal."""
    text = resources.annotation(dict(objects.annotations(service)), resources.ADDRESSES_ANNOTATION)
    field = service["spec"].get("loadBalancerIP") or ""
    name = f"{resources.GROUP}/{resources.ADDRESSES_ANNOTATION}"
    if text and field:
        raise Refusal(f"service can not have both {name} and svc.Spec.LoadBalancerIP")
    try:
        return tuple(ipaddress.ip_address(part.strip()) for part in (text or field).split(",") if text or field)
    except ValueError:
        raise Refusal(f'invalid {name}: "{text}"' if text else f'invalid spec.loadBalancerIP "{field}"') from None


def families(service: Object) -> tuple[int, ...]:
    """IP versions of the Service, in its order."""
    named = service["spec"].get("ipFamilies")
    if named:
        return tuple(6 if each == "IPv6" else 4 for each in named)
    cluster = service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP")]
    return tuple(ipaddress.ip_address(each).version for each in cluster if each and each != "None")


def quoted(addresses: Iterable[Address]) -> str:
    """As Go's %q prints a list of addresses: `["192.168.1.111"]`."""
    return "[" + " ".join(f'"{each}"' for each in addresses) + "]"
