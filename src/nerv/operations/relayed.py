"""Pods whose ports the console answers: Longhorn's dashboard is, on this machine, the console's page of volumes.

The repository routes longhorn.<domain> to Longhorn's own Service, as on a real cluster. Its pods are embedded here, so
their port leads on to the console's Service; without the console nobody listens there, which Traefik reports.
"""

from __future__ import annotations

import asyncio

from nerv.components.console import resources as console
from nerv.components.site import Program
from nerv.controllers.runtime import Informers
from nerv.kube.objects import Object
from nerv.kube.resources import PODS, SERVICES
from nerv.network.routes import Inside, Route
from nerv.network.services import ServiceTable
from nerv.node.programs import image_name

_HTTP = 80
_GATHER = 0.02


class ConsolePorts:
    """Keeps the routes of such pods. `run` until cancelled."""

    def __init__(self, informers: Informers, table: ServiceTable, programs: tuple[Program, ...]) -> None:
        self._table = table
        self._ports = {
            program.image: program.ports
            for program in programs
            if program.runtime == "embedded" and program.name == "console"
        }
        self._pods, self._services = informers.of(PODS), informers.of(SERVICES)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow pods and the console's Service."""
        ends = [informer.on_change(self._note) for informer in (self._pods, self._services)]
        known: frozenset[Route] = frozenset()
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                routes = self._routes()
                if routes != known:
                    await self._table.forward(known - routes, routes)
                    known = routes
                await asyncio.sleep(_GATHER)
        finally:
            for end in ends:
                end()

    def _note(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    def _routes(self) -> frozenset[Route]:
        service = self._services.get(console.NAMESPACE, console.NAME)
        if service is None:
            return frozenset()
        target = Inside(service["spec"]["clusterIP"], _HTTP)
        return frozenset(
            Route(address, port, (target,))
            for pod in self._pods.list()
            if (address := pod.get("status", {}).get("podIP"))
            for container in pod["spec"]["containers"]
            for port in self._ports.get(image_name(container["image"]), ())
        )
