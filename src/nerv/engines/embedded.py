"""The embedded engine: our API server and reconcilers in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from nerv import __version__
from nerv.apiserver import configuration
from nerv.apiserver.identity import User, service_account
from nerv.apiserver.server import ApiServer, Config
from nerv.controllers import flux, kubernetes
from nerv.controllers.flux.config import FluxConfig, Outside
from nerv.controllers.kubernetes import KubernetesConfig
from nerv.controllers.runtime import Controller, Informers
from nerv.engines.protocol import Endpoint, Engine, EngineConfig, ReconcilerConfig
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.node.programs import ProcessProgram

DATABASE = "cluster.db"


class EmbeddedEngine(Engine):
    """One API server over one SQLite database, and every reconciler beside it."""

    name = "embedded"

    def __init__(self) -> None:
        self._server: ApiServer | None = None
        self._config: EngineConfig | None = None

    @override
    def check(self) -> None:
        """It is part of NERV."""

    @override
    async def start(self, config: EngineConfig) -> Endpoint:
        unix = config.run_folder / "apiserver.sock"
        unix.unlink(missing_ok=True)
        server = ApiServer(
            Config(
                database=config.state / DATABASE,
                service_account_key=config.service_account_key,
                ca_pem=config.ca.certificate,
                serving=config.serving,
                kubelet_client=config.kubelet_client,
                service_cidr=config.service_cidr,
                port=config.port.number,
                reuse_port=True,
                unix=unix,
                egress=config.dial,
                outside=config.dial_outside,
                audit=config.state / "audit.log",
                pod_security=configuration.pod_security(config.admission),
            )
        )
        await server.start()
        self._server, self._config = server, config
        return Endpoint(server.url, unix)

    @override
    async def stop(self) -> None:
        if self._server:
            await self._server.stop()
            self._server = None

    @override
    def client(self, user: str, groups: tuple[str, ...]) -> Client:
        if self._server is None:
            raise NervError("the embedded engine is not started")
        return self._server.direct(User(user, groups))

    def _service_account(self, namespace: str, name: str) -> Client:
        """A client that acts as a service account: what Flux impersonates."""
        assert self._server is not None
        return self._server.direct(service_account(namespace, name))

    @override
    def reconcilers(self, informers: Informers, config: ReconcilerConfig) -> tuple[Controller, ...]:
        assert self._config is not None
        client = self.client("system:kube-controller-manager", ("system:masters", "system:authenticated"))
        return (
            *kubernetes.controllers(client, informers, KubernetesConfig(root_ca=self._config.ca.certificate)),
            *flux.controllers(
                client,
                informers,
                FluxConfig(
                    storage=config.artifacts,
                    outside=Outside(config.proxy_url, config.ca_file),
                    kubeconfig=lambda: config.kubeconfig.read_text(encoding="utf-8"),
                    impersonate=self._service_account,
                    exposure=config.exposure,
                ),
            ),
        )

    @override
    def programs(self, ca_file: Path) -> Mapping[str, ProcessProgram]:
        return {}

    @override
    def versions(self) -> Mapping[str, str]:
        return {"embedded": __version__, "kubernetes": "v1.31", "flux": "v2.6"}
