"""A small cluster on either engine, put together as `operations.cluster` does: network, API server, one node.

    async with engine("upstream", tmp_path, {"web": web_server()}, network) as machine:
        await machine.world.create(PODS, pod("web"))
        await machine.kubectl("get", "pods")

The API server's way by URLs is a proxy of its own, whose `loopback` are places on this machine that may be named.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Set
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from tests.support.nodes import World, eventually, is_ready, needs_namespaces, network, pod, proxy_network

from nerv import certificates, process
from nerv.certificates import KeyPair
from nerv.controllers import kubernetes
from nerv.controllers.kubernetes import KubernetesConfig
from nerv.controllers.runtime import Informers
from nerv.engines.ports import HeldPort
from nerv.engines.protocol import EngineConfig
from nerv.kube import kubeconfig
from nerv.kube.resources import PODS, SECRETS, SERVICE_ACCOUNTS, SERVICES
from nerv.mirror import Inside
from nerv.mirror.proxy import Proxy
from nerv.network.driver import Network
from nerv.network.services import ServiceTable
from nerv.node.programs import ProcessProgram, Programs, Rewrites
from nerv.operations import engines, pki
from nerv.operations.folder import private_folder
from nerv.process import Completed
from nerv.tasks import Supervisor

_PODS, _SERVICES, _DOMAIN, _API = "10.42.0.0/16", "10.43.0.0/16", "cluster.local", "10.43.0.1"
_ADMIN = ("system:admin", ("system:masters", "system:authenticated"))
_KUBECTL = str(Path(sys.executable).parent / "kubectl")
DRIVERS = (pytest.param(network, id="namespaces", marks=needs_namespaces), pytest.param(proxy_network, id="proxy"))
_BEFORE = """
import argparse, http.server, json, ssl
parser = argparse.ArgumentParser()
parser.add_argument("--listen")
parser.add_argument("--certificate")
parser.add_argument("--key")
given = parser.parse_args()
"""
_AFTER = """
host, _, port = given.listen.rpartition(":")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(given.certificate, given.key)
server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclass
class Machine:
    """A running engine: its cluster as tests of nodes see it, and kubectl."""

    world: World
    kubeconfig: Path

    async def kubectl(self, *arguments: str, input: str = "") -> Completed:
        """Run it, whatever it ends with."""
        options = [f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.kubeconfig.with_name('cache')}"]
        return await process.run([_KUBECTL, *options, *arguments], input=input.encode(), check=False)


@asynccontextmanager
async def engine(
    name: str,
    folder: Path,
    programs: Programs,
    driver: Callable[[], AbstractAsyncContextManager[Network]],
    loopback: Set[tuple[str, int]] = frozenset(),
) -> AsyncIterator[Machine]:
    """Everything, and one node. Whatever was started has ended afterwards."""
    folder.chmod(0o755)
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(driver())
        run = network.config.run_folder
        addresses: list[ServiceTable] = []
        inside = Inside(
            network.dial, (IPv4Network(_PODS), IPv4Network(_SERVICES)), _DOMAIN, lambda: addresses[0].addresses
        )
        proxy = Proxy(dict, loopback=loopback, inside=inside, offline=False)
        await proxy.start(run / "outside.sock")
        stack.push_async_callback(proxy.stop)
        identity = pki.load(private_folder(folder / "pki"), service_address=_API, cluster_domain=_DOMAIN)
        made = engines.create(name)
        port = HeldPort()
        stack.callback(port.release)
        endpoint = await made.start(
            EngineConfig(
                state=private_folder(folder / "state"),
                logs=private_folder(folder / "logs"),
                run_folder=run,
                port=port,
                ca=identity.ca,
                serving=identity.api_server,
                admin=identity.admin,
                kubelet_client=identity.kubelet_client,
                service_account_key=identity.service_account_key,
                pod_cidr=_PODS,
                service_cidr=_SERVICES,
                cluster_domain=_DOMAIN,
                egress_socket=network.egress_socket,
                dial=network.dial,
                outside_socket=run / "outside.sock",
                dial_outside=proxy.dial,
            )
        )
        stack.push_async_callback(made.stop)
        client = made.client(*_ADMIN)
        informers = Informers(client)
        stack.push_async_callback(informers.stop)
        tasks = Supervisor()
        stack.push_async_callback(tasks.stop)
        table = ServiceTable(informers, network)
        addresses.append(table)
        await table.register(_API, 443, endpoint.unix)
        tasks.start("services", table.run)
        if name == engines.EMBEDDED:
            for controller in kubernetes.controllers(client, informers, KubernetesConfig(identity.ca.certificate)):
                tasks.start(f"controller {controller.name}", controller.run)
        world = World(client, informers, network, table, folder, programs)
        stack.push_async_callback(world.stop_nodes)
        await world.start_node(ca_certificate=identity.ca.certificate)
        file = folder / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(kubeconfig.inline(endpoint.url, identity.ca.certificate, identity.admin, cluster="test"))
        yield Machine(world, file)


def https_program(handler: str) -> ProcessProgram:
    """A server for `serve`: `handler` is the text of its class Handler and of what that needs."""
    text = "\n".join((_BEFORE, handler, _AFTER))
    return ProcessProgram((sys.executable, "-c", text), rewrites=Rewrites((("--listen", ""),)))


async def serve(machine: Machine, name: str, ca: KeyPair, address: str = "") -> None:
    """A pod whose image is `name`, told `--listen`, `--certificate` (of `ca`) and `--key`, and its Service on 443.

    With `address` the Service has that one, and the certificate names it too.
    """
    world = machine.world
    pair = certificates.issue(
        ca, name, names=[f"{name}.default.svc", f"{name}.default.svc.{_DOMAIN}", *([address] if address else ())]
    )
    files = {"tls.crt": pair.certificate, "tls.key": pair.key}
    await world.create(SECRETS, {"metadata": {"name": name}, "type": "kubernetes.io/tls", "stringData": files})
    await eventually(lambda: world.informers.of(SERVICE_ACCOUNTS).get("default", "default"), "the service account")
    container = {
        "ports": [{"containerPort": 8443}],
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
        "readinessProbe": {"tcpSocket": {"port": 8443}},
    }
    arguments = ("--listen=:8443", "--certificate=/tls/tls.crt", "--key=/tls/tls.key")
    volumes = [{"name": "tls", "secret": {"secretName": name}}]
    await world.create(PODS, pod(name, name, *arguments, container=container, volumes=volumes))
    spec = {"selector": {"app": name}, "ports": [{"port": 443, "targetPort": 8443}]}
    spec |= {"clusterIP": address} if address else {}
    await world.create(SERVICES, {"metadata": {"name": name}, "spec": spec})
    await world.wait(PODS, name, is_ready)
