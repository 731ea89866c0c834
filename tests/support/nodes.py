"""A small cluster with real machines for tests: API server, controllers, network namespaces, nodes that run processes.

    async with cluster(tmp_path, programs={"web": web_server()}) as world:
        await world.create(PODS, pod("web"))
        await world.wait(PODS, "web", is_ready)

`needs_namespaces` marks tests that make user namespaces; where those are refused it says what is needed.
"""

from __future__ import annotations

import asyncio
import functools
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.apiserver import authority, running, serving

from nerv import certificates
from nerv.apiserver.identity import ADMIN
from nerv.apiserver.server import ApiServer
from nerv.controllers.kubernetes import KubernetesConfig, controllers
from nerv.controllers.runtime import EventRecorder, Informers, SystemClock
from nerv.http import tls
from nerv.kube import objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, NODES, Resource
from nerv.network.driver import DialError, Isolation, Network, NetworkConfig
from nerv.network.namespaces import NamespaceNetwork
from nerv.network.proxy import ProxyNetwork
from nerv.network.services import ServiceTable
from nerv.node.agent import NodeAgent
from nerv.node.context import NodeConfig, NodeContext
from nerv.node.programs import ProcessProgram, Programs, Rewrites

PATIENCE = 45.0
"""Seconds until a test says what it still waits for."""


@functools.cache
def _refusal() -> str:
    return asyncio.run(NamespaceNetwork.available())


needs_namespaces = pytest.mark.skipif(bool(_refusal()), reason=f"user namespaces: {_refusal()}")


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie, which one without a parent may stay in a container."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@asynccontextmanager
async def network(**changes: Any) -> AsyncIterator[NamespaceNetwork]:
    """A network of its own. Its folder's path is short: unix sockets allow 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="nerv-"))
    made = NamespaceNetwork(NetworkConfig(folder / "run", **changes))
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        shutil.rmtree(folder)


@asynccontextmanager
async def proxy_network(isolation: Isolation | None = None) -> AsyncIterator[ProxyNetwork]:
    """A network by the driver `proxy`, with the best isolation that can be had or a given one."""
    folder = Path(tempfile.mkdtemp(prefix="nerv-"))
    made = ProxyNetwork(NetworkConfig(folder / "run"), isolation)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        shutil.rmtree(folder)


DRIVERS = (
    pytest.param(network, id="namespaces", marks=needs_namespaces),
    pytest.param(proxy_network, id="proxy"),
    pytest.param(functools.partial(proxy_network, "none"), id="proxy-not-isolated"),
)
"""For a fixture's `params`: the same test on every driver; the last is what machines without any namespaces have."""


def web_server() -> ProcessProgram:
    """A program that serves the folder it is told."""
    return ProcessProgram((sys.executable, "-m", "http.server"))


_LISTENING = """
import argparse, functools, http.server
parser = argparse.ArgumentParser()
parser.add_argument("--listen")
parser.add_argument("--directory")
given = parser.parse_args()
host, _, port = given.listen.rpartition(":")
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=given.directory)
http.server.ThreadingHTTPServer((host, int(port)), handler).serve_forever()
"""


def listening_server() -> ProcessProgram:
    """A web server that is told where to listen: `--listen=ADDRESS:PORT --directory=FOLDER`."""
    return ProcessProgram((sys.executable, "-c", _LISTENING), rewrites=Rewrites((("--listen", ""),)))


def shell() -> ProcessProgram:
    """/bin/sh; the container's arguments are the shell's."""
    return ProcessProgram(("/bin/sh",), rewrites=Rewrites(()))


def pod(name: str, image: str, *arguments: str, **spec: Any) -> Object:
    """A pod of one container named `main`; `container` among the keywords adds fields to that."""
    container = {"name": "main", "image": image, "args": list(arguments), **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": [container], **spec},
    }


def is_ready(obj: Object) -> bool:
    """Whether its Ready condition is True."""
    return objects.is_true(obj, "Ready")


async def http_get(network: Network, address: str, port: int, path: str = "/", host: str = "x") -> bytes:
    """The whole answer to one request, or b"" when nobody answers."""
    try:
        reader, writer = await network.dial(address, port)
    except DialError:
        return b""
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


async def eventually(check: Callable[[], Any], what: str = "the condition") -> Any:
    """The first true result of `check` (which may be a coroutine function)."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                result = check()
                if asyncio.iscoroutine(result):
                    result = await result
                if result:
                    return result
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what} never came about") from None


@dataclass
class World:
    """What a test works with."""

    client: Client
    informers: Informers
    network: Network
    services: ServiceTable
    folder: Path
    programs: Programs
    agents: list[NodeAgent] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    server: ApiServer | None = None
    """the API server, where it is ours and no engine's"""

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object, in `default` unless it says otherwise."""
        if resource.namespaced:
            obj["metadata"].setdefault("namespace", "default")
        return await self.client.create(resource, obj)

    async def wait(
        self, resource: Resource, name: str, check: Callable[[Object], Any], namespace: str | None = "default"
    ) -> Object:
        """Wait until the object satisfies `check`."""
        informer = self.informers.of(resource)
        last: list[Object | None] = [None]

        def look() -> Object | None:
            last[0] = informer.get(namespace if resource.namespaced else None, name)
            return last[0] if last[0] is not None and check(last[0]) else None

        try:
            found: Object = await eventually(look)
        except AssertionError:
            raise AssertionError(f"{resource.kind} {name} is still {last[0]}") from None
        return found

    async def gone(self, resource: Resource, name: str, namespace: str | None = "default") -> None:
        """Wait until the object does not exist."""
        informer = self.informers.of(resource)
        await eventually(lambda: informer.get(namespace, name) is None, f"the end of {resource.kind} {name}")

    async def reasons(self, name: str) -> list[str]:
        """Reasons of the events about an object, in order of their messages' writing."""
        listed = await self.client.list(EVENTS, "default")
        return [each["reason"] for each in listed.items if each["involvedObject"]["name"] == name]

    async def messages(self, name: str) -> list[str]:
        """Messages of the events about an object."""
        listed = await self.client.list(EVENTS, "default")
        return [each["message"] for each in listed.items if each["involvedObject"]["name"] == name]

    async def start_node(self, name: str = "n1", number: int = 1, **changes: Any) -> NodeAgent:
        """Start the agent of one node and wait until it is Ready."""
        config = NodeConfig(
            **{
                "name": name,
                "address": f"192.168.1.{9 + number}",
                "folder": self.folder / name,
                "claims": self.folder / "claims",
                "run_folder": self.network.config.run_folder,
                "pod_cidr": f"10.42.{number - 1}.0/24",
                "roles": ("control-plane",),
                "ca_certificate": authority().certificate,
                **changes,
            }
        )
        context = NodeContext(
            config=config,
            client=self.client,
            informers=self.informers,
            network=self.network,
            registry=self.services,
            programs=self.programs,
            events=EventRecorder(self.client, "kubelet"),
            clock=SystemClock(),
            sleep=asyncio.sleep,
        )
        agent = NodeAgent(context)
        self.agents.append(agent)
        self.tasks.append(asyncio.create_task(agent.run()))
        await self.wait(NODES, name, is_ready)
        return agent

    async def stop_nodes(self) -> None:
        """Stop every agent, as when NERV ends."""
        agents = self.tasks[-len(self.agents) :] if self.agents else []
        for task in agents:
            task.cancel()
            self.tasks.remove(task)
        await asyncio.gather(*agents, return_exceptions=True)
        self.agents.clear()


@asynccontextmanager
async def cluster(
    folder: Path,
    programs: Programs,
    *,
    node: bool = True,
    driver: Callable[[], AbstractAsyncContextManager[Network]] = network,
) -> AsyncIterator[World]:
    """Everything, and one node unless `node` is False. Whatever was started has ended afterwards."""
    folder.chmod(0o755)
    async with driver() as net:
        unix = net.config.run_folder / "apiserver.sock"
        kubelet_client = certificates.issue(
            authority(), "kube-apiserver-kubelet-client", organizations=["system:masters"], client=True, server=False
        )
        api = {"serving": serving(), "unix": unix, "egress": net.dial, "kubelet_client": kubelet_client}
        async with running(folder, **api) as server:
            client = server.direct(ADMIN)
            informers = Informers(client)
            services = ServiceTable(informers, net)
            await services.register("10.43.0.1", 443, unix)
            world = World(client, informers, net, services, folder, programs, server=server)
            kubernetes = controllers(client, informers, KubernetesConfig(root_ca=authority().certificate))
            background = [asyncio.create_task(each.run()) for each in kubernetes]
            background.append(asyncio.create_task(services.run()))
            try:
                if node:
                    await world.start_node()
                yield world
            finally:
                await world.stop_nodes()
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
                await informers.stop()


def kubelet_certificates() -> dict[str, Any]:
    """For `start_node`: the kubelet API is served, and known to the authority of the tests."""
    pair = certificates.issue(authority(), "system:node:n1", names=["192.168.1.10", "localhost"])
    return {"serving": pair, "client_ca": authority().certificate}


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def kubelet_connection(world: World, groups: tuple[str, ...] | None = ("system:masters",)) -> Streams:
    """TLS to the kubelet API of node n1 at its address; `groups` None shows no certificate."""
    user = certificates.issue(authority(), "kube-apiserver", organizations=groups or (), client=True, server=False)
    context = tls.client_context(
        authority().certificate, *((user.certificate, user.key) if groups is not None else (None, None))
    )
    reader, writer = await world.network.dial("192.168.1.10", 10250)
    await writer.start_tls(context, server_hostname="192.168.1.10")
    return reader, writer


async def kubelet_get(world: World, path: str, groups: tuple[str, ...] | None = ("system:masters",)) -> tuple[int, str]:
    """Status and text of one request to the kubelet API; chunks are joined."""
    reader, writer = await kubelet_connection(world, groups)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: kubelet\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = await reader.read()
    finally:
        writer.close()
    if "chunked" in head.lower():
        parts = []
        while body:
            size, _, body = body.partition(b"\r\n")
            parts.append(body[: int(size, 16)])
            body = body[int(size, 16) + 2 :]
        body = b"".join(parts)
    return int(head.split(" ")[1]), body.decode()


@dataclass
class WebSocketClient:
    """The client side of a WebSocket, masked as RFC 6455 wants it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, world: World, path: str, protocol: str) -> WebSocketClient:
        """Open one to the kubelet API of node n1. AssertionError when it is refused."""
        reader, writer = await kubelet_connection(world)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: kubelet\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 101 "), head
        assert f"Sec-WebSocket-Protocol: {protocol}" in head
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        return cls(reader, writer)

    def send(self, data: bytes) -> None:
        """One binary message."""
        mask = b"\x01\x02\x03\x04"
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.writer.write(b"\x82" + size + mask + masked)

    async def messages(self) -> AsyncIterator[bytes]:
        """Messages until the server closes."""
        while True:
            first, second = await self.reader.readexactly(2)
            size = second
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            data = await self.reader.readexactly(size)
            if first & 0x0F == 8:
                self.writer.close()
                return
            yield data

    async def channels(self) -> dict[int, bytes]:
        """Everything that came, by channel."""
        found: dict[int, bytes] = {}
        async for message in self.messages():
            found[message[0]] = found.get(message[0], b"") + message[1:]
        return found
