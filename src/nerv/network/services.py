"""Keeps the network's routes and names equal to the Services of the API, and to what parts of NERV serve themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from nerv.kube.objects import Object
from nerv.kube.resources import ENDPOINT_SLICES, NODES, SERVICES
from nerv.network import records
from nerv.network.driver import NameTable, Network
from nerv.network.informing import Informers
from nerv.network.routes import Outside, Route

_GATHER = 0.005
"""Seconds that further changes are waited for before the table is computed anew."""


class ServiceTable:
    """The table of routes. `run` follows the API; `register` works before and beside it."""

    def __init__(self, informers: Informers, network: Network) -> None:
        self._informers = informers
        self._network = network
        self._registered: dict[tuple[str, int], Route] = {}
        self._changed = asyncio.Event()
        self._routes: list[Route] = []
        self._names = NameTable()
        self._services: list[Object] = []
        self._slices: list[Object] = []
        self._node_addresses: tuple[str, ...] = ()
        self.addresses: frozenset[str] = frozenset()
        """Addresses that Services and nodes have."""
        self._watchers: list[Callable[[], None]] = []

    def on_addresses(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after `addresses` has changed. Returns what ends the subscription."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    async def register(self, address: str, port: int, unix_path: Path) -> None:
        """Let a part of NERV itself, which listens on a unix socket, be reached at a cluster address."""
        self._registered[address, port] = Route(address, port, (Outside(str(unix_path)),))
        await self._publish()

    async def unregister(self, address: str, port: int) -> None:
        """Take it back; what was never registered is no error."""
        if self._registered.pop((address, port), None):
            await self._publish()

    async def forward(self, gone: Iterable[Route], added: Iterable[Route]) -> None:
        """Let addresses lead on to other places of the cluster: take `gone` out and put `added` in."""
        for route in gone:
            self._registered.pop((route.address, route.port), None)
        for route in added:
            self._registered[route.address, route.port] = route
        await self._publish()

    async def run(self) -> None:
        """Follow Services, EndpointSlices and Nodes until cancelled."""
        services, slices = self._informers.of(SERVICES), self._informers.of(ENDPOINT_SLICES)
        nodes = self._informers.of(NODES)
        ends = [informer.on_change(self._note) for informer in (services, slices, nodes)]
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(_GATHER)
                self._changed.clear()
                self._services, self._slices = services.list(), slices.list()
                self._node_addresses = tuple(sorted(_addresses(nodes.list())))
                await self._publish()
        finally:
            for end in ends:
                end()

    def _note(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    async def _publish(self) -> None:
        computed = records.routes(self._services, self._slices, self._node_addresses)
        before = self.addresses
        self.addresses = frozenset({*self._node_addresses, *(route.address for route in computed)})
        if self.addresses != before:
            for callback in self._watchers:
                callback()
        # What is registered counts over a Service's own endpoints.
        routes = list({(each.address, each.port): each for each in (*computed, *self._registered.values())}.values())
        if routes != self._routes:
            self._routes = routes
            await self._network.set_routes(routes)
        names = records.names(self._services, self._slices, self._network.config.cluster_domain)
        if names != self._names:
            self._names = names
            await self._network.set_service_names(names)


def _addresses(nodes: list[Object]) -> set[str]:
    return {
        entry["address"]
        for node in nodes
        for entry in node.get("status", {}).get("addresses", [])
        if entry["type"] == "InternalIP"
    }
