"""An engine on its own in a folder that is thrown away: API server and Kubernetes' controllers, no nodes, no Flux."""

from __future__ import annotations

import tempfile
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from nerv.controllers import kubernetes
from nerv.controllers.kubernetes import KubernetesConfig
from nerv.controllers.runtime import Informers
from nerv.engines.ports import HeldPort
from nerv.engines.protocol import Engine, EngineConfig
from nerv.kube.client import Client
from nerv.operations import engines, pki
from nerv.tasks import Supervisor

_DOMAIN = "cluster.local"
_SERVICES = "10.43.0.0/16"
_ADMIN = ("system:admin", ("system:masters", "system:authenticated"))
_CONTROLLERS = ("system:kube-controller-manager", ("system:masters", "system:authenticated"))


@asynccontextmanager
async def running(name: str) -> AsyncIterator[Client]:
    """An administrator's client of a fresh engine. Raises NervError when the engine cannot run here."""
    async with served(name) as (client, _):
        yield client


@asynccontextmanager
async def served(name: str) -> AsyncIterator[tuple[Client, str]]:
    """The same, and the URL at which the engine's API server listens on loopback."""
    engine = engines.create(name)
    engine.check()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nerv-fidelity-")))
        port = HeldPort()
        stack.callback(port.release)
        config = _config(folder, port)
        endpoint = await engine.start(config)
        stack.push_async_callback(engine.stop)
        if name == engines.EMBEDDED:
            await _start_controllers(stack, engine, config)
        yield engine.client(*_ADMIN), endpoint.url


def _config(folder: Path, port: HeldPort) -> EngineConfig:
    for name in ("state", "logs", "run"):
        (folder / name).mkdir(mode=0o700)
    identity = pki.load(folder / "pki", service_address="10.43.0.1", cluster_domain=_DOMAIN)
    return EngineConfig(
        state=folder / "state",
        logs=folder / "logs",
        run_folder=folder / "run",
        port=port,
        ca=identity.ca,
        serving=identity.api_server,
        admin=identity.admin,
        kubelet_client=identity.kubelet_client,
        service_account_key=identity.service_account_key,
        pod_cidr="10.42.0.0/16",
        service_cidr=_SERVICES,
        cluster_domain=_DOMAIN,
        egress_socket=folder / "run" / "egress.sock",
        dial=_nowhere,
        outside_socket=folder / "run" / "outside.sock",
        dial_outside=_nowhere,
    )


async def _start_controllers(stack: AsyncExitStack, engine: Engine, config: EngineConfig) -> None:
    client = engine.client(*_CONTROLLERS)
    informers = Informers(client)
    tasks = Supervisor()
    stack.push_async_callback(informers.stop)
    stack.push_async_callback(tasks.stop)
    for controller in kubernetes.controllers(client, informers, KubernetesConfig(root_ca=config.ca.certificate)):
        tasks.start(f"controller {controller.name}", controller.run)


async def _nowhere(host: str, port: int) -> tuple[StreamReader, StreamWriter]:
    """There is no network: nothing that a case asks for is reached."""
    raise ConnectionRefusedError(f"dial tcp {host}:{port}: connect: connection refused")
