"""The upstream engine: the real control plane as children of this process, and Flux's controllers as its programs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from pathlib import Path

from typing_extensions import override

from nerv import certificates, documents
from nerv.controllers.runtime import Controller, Informers
from nerv.engines.ports import HOST, HeldPort
from nerv.engines.protocol import Endpoint, Engine, EngineConfig, ReconcilerConfig
from nerv.engines.upstream import arguments, catalog, credentials, dependents, store
from nerv.engines.upstream.arguments import Places
from nerv.engines.upstream.children import Children, Program
from nerv.engines.upstream.store import Store
from nerv.errors import NervError
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.tls import Access, TlsTransport
from nerv.network.joins import Accepted
from nerv.network.routes import Inside
from nerv.node.programs import ProcessProgram

_READY_SECONDS = 60.0
_POLL = 0.05
_CA_BUNDLE = "/run/nerv/ca-certificates.crt"
_ONE_REPLICA = "--enable-leader-election"
"""Each controller has one replica here, and the lease of one that was killed would hold the next back for 35 s."""
_PROBE = ("system:admin", ("system:masters",))


class UpstreamEngine(Engine):
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler, supervised."""

    name = "upstream"

    def __init__(self, built: Store | None = None) -> None:
        self._store = built or store.default()
        self._children = Children(self._tell_failing)
        self._ports: list[HeldPort] = []
        self._bridge: asyncio.Server | None = None
        self._joins: set[asyncio.Future[None]] = set()
        self._config: EngineConfig | None = None
        self._url = ""
        self._clients: dict[tuple[str, tuple[str, ...]], Client] = {}

    @override
    def check(self) -> None:
        self._store.require()

    @override
    async def start(self, config: EngineConfig) -> Endpoint:
        self.check()
        self._config = config
        try:
            return await self._start(config)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, config: EngineConfig) -> Endpoint:
        for _ in range(2):
            self._ports.append(HeldPort())
        (etcd, peer), api = self._ports, config.port
        self._url = f"https://{HOST}:{api.number}"
        files = credentials.write(config.state / "pki", config, self._url)
        places = Places(
            etcd=etcd.number,
            etcd_peer=peer.number,
            api=api.number,
            data=config.state / "etcd",
            egress=config.state / "egress.yaml",
            admission=config.state / "admission.yaml",
        )
        credentials.write_private(places.egress, arguments.egress_selector(config.egress_socket, config.outside_socket))
        credentials.write_private(places.admission, documents.dump(dict(config.admission)))
        self._launch("etcd", arguments.etcd(places, files))
        self._launch("kube-apiserver", arguments.api_server(config, places, files))
        await self._until_ready()
        self._launch("kube-controller-manager", arguments.controller_manager(config, files))
        self._launch("kube-scheduler", arguments.scheduler(files))
        return Endpoint(self._url, await self._open_bridge(config.run_folder / "apiserver.sock", api.number))

    def _launch(self, program: str, flags: list[str]) -> None:
        assert self._config is not None
        log = self._config.logs / f"{program}.log"
        command = (str(self._store.path(program)), *flags)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._config.state)}
        self._children.start(Program(program, command, log, environment))

    def _tell_failing(self) -> None:
        if self._config:
            self._config.on_failing(self._children.failing)

    async def _until_ready(self) -> None:
        """Raises NervError when a program does not come up, or with what the API server says it still waits for."""
        client = self.client(*_PROBE)
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        waits = "nothing answered"
        while asyncio.get_running_loop().time() < deadline:
            self._children.check()
            try:
                answer = await client.raw("GET", "/readyz", query={"verbose": ""})
            except errors.Unreachable:
                pass
            else:
                if answer.status == 200:
                    return
                waits = _failing(answer.body.decode(errors="replace"))
            await asyncio.sleep(_POLL)
        raise NervError(f"kube-apiserver is not ready after {_READY_SECONDS:.0f} s: {waits}")

    async def _open_bridge(self, unix: Path, port: int) -> Path:
        """The relay reaches what listens outside of its namespace by unix sockets alone."""
        unix.unlink(missing_ok=True)
        target = Inside(HOST, port)

        def spawn(work: Awaitable[None]) -> None:
            task = asyncio.ensure_future(work)
            self._joins.add(task)
            task.add_done_callback(self._joins.discard)

        loop = asyncio.get_running_loop()
        self._bridge = await loop.create_unix_server(lambda: Accepted(lambda: [target], spawn), str(unix))
        unix.chmod(0o600)
        return unix

    @override
    async def stop(self) -> None:
        if self._bridge:
            self._bridge.close()
            self._bridge = None
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        self._clients.clear()
        await self._children.stop()
        for port in self._ports:
            port.release()
        self._ports.clear()

    @override
    def client(self, user: str, groups: tuple[str, ...]) -> Client:
        if self._config is None:
            raise NervError("the upstream engine is not started")
        key = (user, groups)
        if key not in self._clients:
            ca = self._config.ca
            # every client that shows a certificate is authenticated; the group is the server's to give
            named = [group for group in groups if group != "system:authenticated"]
            pair = certificates.issue(ca, user, organizations=named, client=True, server=False)
            access = Access(self._url, ca.certificate, pair.certificate, pair.key)
            self._clients[key] = Client(TlsTransport(access))
        return self._clients[key]

    @override
    def reconcilers(self, informers: Informers, config: ReconcilerConfig) -> tuple[Controller, ...]:
        return (dependents.controller(self.client("nerv:dependents", ("system:masters",)), informers),)

    @override
    def programs(self, ca_file: Path) -> Mapping[str, ProcessProgram]:
        known = self._store.require()
        return {
            source.image: ProcessProgram(
                (str(self._store.path(source.program)),),
                environment={"SSL_CERT_FILE": _CA_BUNDLE},
                files={_CA_BUNDLE: ca_file},
                without=(_ONE_REPLICA,),
                name=f"{source.program} {known[source.program].version}",
            )
            for source in catalog.SOURCES
            if source.image
        }

    @override
    def versions(self) -> Mapping[str, str]:
        return {program: built.version for program, built in self._store.read().items()}

    @property
    def pids(self) -> Mapping[str, int]:
        """Of the control plane's processes."""
        return self._children.pids


def _failing(text: str) -> str:
    """The checks that `/readyz?verbose` reports as failed."""
    failed = [line.split("]", 1)[1].split()[0] for line in text.splitlines() if line.startswith("[-]")]
    return f"waiting for {', '.join(failed)}" if failed else text.strip()[:200]
