"""Addresses for the pods of one node, from its part of the pod network."""

from __future__ import annotations

import ipaddress

from nerv.errors import NervError


class AddressPool:
    """Hands out the lowest free address. The first two belong to the network and to the bridge."""

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.IPv4Network(cidr)
        self._taken: dict[str, str] = {}
        self._holders: dict[str, str] = {}
        self._next = 2

    def claim(self, address: str, holder: str) -> bool:
        """Take an address that a pod has already, after a restart. False when it is another pod's or not of here."""
        if ipaddress.IPv4Address(address) not in self._network or self._taken.get(address, holder) != holder:
            return False
        self._taken[address] = holder
        self._holders[holder] = address
        return True

    def take(self, holder: str) -> str:
        """The holder's address, a free one when it has none. Raises NervError when all are taken.

        Addresses go round, so that one that has just become free is not soon somebody else's.
        """
        if holder in self._holders:
            return self._holders[holder]
        size = self._network.num_addresses
        for step in range(size):
            offset = 2 + (self._next - 2 + step) % (size - 3)
            address = str(self._network.network_address + offset)
            if address not in self._taken:
                self._next = offset + 1
                self.claim(address, holder)
                return address
        raise NervError(f"no address is free in {self._network}", "the node's pods use all of them")

    def release(self, holder: str) -> None:
        """Give the holder's address back."""
        address = self._holders.pop(holder, None)
        if address:
            del self._taken[address]
