"""Cluster addresses and node ports of Services: what is taken, and a free one.

Facts: the upper part of the Service network is used first, so that people can choose fixed addresses in the lower one
(kubernetes.io: "Service ClusterIP allocation").
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator
from typing import TypeVar

from nerv.apiserver.store import Change, Entry
from nerv.kube.objects import Object

SERVICES = "services"
NODE_PORTS = range(30000, 32768)
_Item = TypeVar("_Item", str, int)


class Taken(Exception):
    """Somebody else has it."""


class OutOfRange(Exception):
    """It does not belong to the network or range."""


class Exhausted(Exception):
    """Nothing is free."""


class Addresses:
    """Reservations live in memory; committed Services are the truth that they are made from at each start."""

    def __init__(self, cidr: str) -> None:
        self.network = ipaddress.ip_network(cidr)
        self._addresses: dict[str, int] = {}
        self._ports: dict[int, int] = {}
        size = self.network.num_addresses
        self._fixed_part = min(max(16, size // 16), 256)

    def take(self, address: str) -> None:
        """Reserve a chosen address. Raises Taken, OutOfRange."""
        if ipaddress.ip_address(address) not in self.network:
            raise OutOfRange
        if address in self._addresses:
            raise Taken
        _count(self._addresses, address, 1)

    def take_any(self) -> str:
        """Reserve a free address. Raises Exhausted."""
        size = self.network.num_addresses
        for low, high in ((self._fixed_part, size - 1), (1, self._fixed_part)):
            span = high - low
            if span <= 0:
                continue
            start = secrets.randbelow(span)
            for step in range(span):
                address = str(self.network[low + (start + step) % span])
                if address not in self._addresses:
                    _count(self._addresses, address, 1)
                    return address
        raise Exhausted

    def free(self, address: str) -> None:
        """Give a reservation back."""
        _count(self._addresses, address, -1)

    def take_port(self, port: int) -> None:
        """Reserve a chosen node port. Raises Taken, OutOfRange."""
        if port not in NODE_PORTS:
            raise OutOfRange
        if port in self._ports:
            raise Taken
        _count(self._ports, port, 1)

    def take_any_port(self) -> int:
        """Reserve a free node port. Raises Exhausted."""
        start = secrets.randbelow(len(NODE_PORTS))
        for step in range(len(NODE_PORTS)):
            port = NODE_PORTS[(start + step) % len(NODE_PORTS)]
            if port not in self._ports:
                _count(self._ports, port, 1)
                return port
        raise Exhausted

    def free_port(self, port: int) -> None:
        """Give a reservation back."""
        _count(self._ports, port, -1)

    def load(self, entry: Entry) -> None:
        """Count what a stored Service has."""
        self._hold(entry.load(), 1)

    def follow(self, change: Change) -> None:
        """Release what a committed change gave up. What it took was reserved before."""
        if change.key != SERVICES or change.before is None:
            return
        before = change.before.load()
        if change.deleted:
            self._hold(before, -1)
            return
        after = change.after.load()
        for address in set(_addresses(before)) - set(_addresses(after)):
            _count(self._addresses, address, -1)
        for port in set(_ports(before)) - set(_ports(after)):
            _count(self._ports, port, -1)

    def _hold(self, service: Object, count: int) -> None:
        for address in set(_addresses(service)):
            _count(self._addresses, address, count)
        for port in set(_ports(service)):
            _count(self._ports, port, count)


def _count(table: dict[_Item, int], item: _Item, count: int) -> None:
    present = table.get(item, 0) + count
    if present > 0:
        table[item] = present
    else:
        table.pop(item, None)


def _addresses(service: Object) -> Iterator[str]:
    for address in service["spec"].get("clusterIPs") or ():
        if address and address != "None":
            yield address


def _ports(service: Object) -> Iterator[int]:
    for port in service["spec"].get("ports") or ():
        if port.get("nodePort"):
            yield port["nodePort"]
    if service["spec"].get("healthCheckNodePort"):
        yield service["spec"]["healthCheckNodePort"]
