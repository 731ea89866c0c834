"""One server of a component, reachable at the address of each of its ready pods and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from nerv.certificates import KeyPair
from nerv.controllers.runtime import Clock, Controller, Watch
from nerv.controllers.runtime.controller import Reconcile
from nerv.http import tls
from nerv.http.messages import Handler
from nerv.http.server import Server, listen

Register = Callable[[str, int, Path], Awaitable[None]]
"""Lets a cluster address and port be answered at a unix socket."""
Unregister = Callable[[str, int], Awaitable[None]]
"""Takes it back; what was never registered is no error."""


class Exposure(Protocol):
    """How the cluster's network is told of a server."""

    @property
    def run_folder(self) -> Path:
        """For unix sockets: a short path, 0700."""
        ...

    @property
    def register(self) -> Register: ...

    @property
    def unregister(self) -> Unregister: ...


class WebhookServer:
    """Closed until `serve`. While no pod is ready nothing listens, and connections that were kept open are dropped: an
    API server that pools them would else still reach a pod that is gone."""

    def __init__(self, exposure: Exposure, name: str, handler: Handler) -> None:
        self._exposure = exposure
        self._unix: Path = exposure.run_folder / f"{name}.sock"
        self._handler = handler
        self._server: Server | None = None
        self._pair: KeyPair | None = None
        self._places: set[tuple[str, int]] = set()

    async def serve(self, addresses: Iterable[str], ports: Iterable[int], pair: KeyPair | None) -> None:
        """Answer at these addresses and ports with this certificate (None: without TLS), and at no others."""
        wanted = {(address, port) for address in addresses if address for port in ports}
        if not wanted:
            await self.withdraw()
            return
        if self._server is None or self._pair != pair or not wanted >= self._places:
            await self._listen(pair)
        for address, port in sorted(wanted - self._places):
            await self._exposure.register(address, port, self._unix)
        for address, port in sorted(self._places - wanted):
            await self._exposure.unregister(address, port)
        self._places = wanted

    async def withdraw(self) -> None:
        """Stop answering anywhere."""
        for address, port in sorted(self._places):
            await self._exposure.unregister(address, port)
        self._places = set()
        await self._close()

    async def _listen(self, pair: KeyPair | None) -> None:
        await self._close()
        context = tls.server_context(pair.certificate, pair.key) if pair else None
        self._server = await listen(self._handler, unix=self._unix, ssl=context)
        self._pair = pair

    async def _close(self) -> None:
        if self._server is not None:
            await self._server.close()
        self._server = None
        self._unix.unlink(missing_ok=True)


class ServerController(Controller):
    """A controller with one worker that opens and closes servers; they end with it."""

    def __init__(
        self, name: str, reconcile: Reconcile, watches: tuple[Watch, ...], clock: Clock, *servers: WebhookServer
    ) -> None:
        super().__init__(name, reconcile, watches, concurrency=1, clock=clock)
        self._servers = servers

    @override
    async def run(self) -> None:
        try:
            await super().run()
        finally:
            for server in self._servers:
                await server.withdraw()
