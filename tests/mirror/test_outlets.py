"""Sources that are added in Git without the definition: their hosts lead out, or are reported offline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.support import flux
from tests.support.nodes import eventually, proxy_network

from nerv.controllers.runtime import Informers
from nerv.http.messages import Request, Response
from nerv.http.server import listen
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import ENDPOINT_SLICES, SERVICES
from nerv.mirror import Inside, Outlets
from nerv.mirror import proxy as proxies
from nerv.mirror.inside import Ends
from nerv.mirror.outlets import SOURCES, Place, keeps_address, place_of, reached_at
from nerv.mirror.proxy import Proxy
from nerv.network.driver import DialError, Network
from nerv.network.services import ServiceTable

MIRROR = "10.43.255.254"
OTHERS = "203.0.113.7"  # for documents (RFC 5737): nobody's
POD = "10.42.0.9"


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"url": "https://github.com/you/home.git"}, Place("github.com", 443)),
        ({"url": "ssh://git@github.com/you/home.git"}, Place("github.com", 22)),
        ({"url": "https://charts.example.test:8443/stable"}, Place("charts.example.test", 8443)),
        ({"url": "http://charts.example.test/stable"}, Place("charts.example.test", 80)),
        ({"url": "oci://ghcr.io/stefanprodan/charts"}, Place("ghcr.io", 443)),
        ({"endpoint": "minio.example.test", "bucketName": "x"}, Place("minio.example.test", 443)),
        ({"endpoint": "minio.example.test:9000", "insecure": True}, Place("minio.example.test", 9000)),
        ({"url": "https://[broken"}, None),
        ({"url": ""}, None),
        ({}, None),
    ],
)
def test_where_a_source_is(spec: Object, place: Place | None) -> None:
    assert place_of({"kind": "GitRepository", "spec": spec}) == place


@pytest.mark.parametrize(
    ("host", "does"),
    [
        ("192.168.1.5", True),
        ("203.0.113.7", True),
        ("git.example.test", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("198.18.0.1", False),
        ("169.254.169.254", False),
        ("::1", False),
    ],
)
def test_an_address_is_reached_at_itself(host: str, does: bool) -> None:
    assert keeps_address(host) is does


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("git.example.test", MIRROR),
        ("203.0.113.7", "203.0.113.7"),
        ("192.168.1.111", MIRROR),
        ("10.43.0.9", MIRROR),
        ("127.0.0.1", MIRROR),
    ],
)
def test_where_a_mirrored_host_is_reached(host: str, address: str) -> None:
    """An address is never looked up by name, and the cluster's own stay the cluster's."""

    async def nowhere(host: str, port: int) -> Ends:
        raise DialError(f"{host}:{port}")

    networks = tuple(map(IPv4Network, ("10.43.0.0/16", "192.168.1.111/32")))
    assert reached_at(host, MIRROR, Inside(nowhere, networks, "cluster.local")) == address


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server outside."""
    server = await listen(lambda request: Response(200, f"outside: {request.path}".encode(), "text/plain"))
    yield server.port
    await server.close()


class Ways:
    """Outlets that run: sources in a real API server, a real network."""

    def __init__(self, client: Client, network: Network, proxy: Proxy, outlets: Outlets) -> None:
        self.client = client
        self.network = network
        self.proxy = proxy
        self.outlets = outlets

    async def source(self, name: str, url: str) -> None:
        spec = {"url": url, "interval": "1h", "ref": {"branch": "main"}}
        await self.client.create(SOURCES[0], {"metadata": {"name": name, "namespace": "default"}, "spec": spec})

    async def get(self, host: str, port: int) -> bytes:
        """The answer to a program inside; b"" when nobody answers."""
        try:
            reader, writer = await self.network.dial(host, port)
            writer.write(b"GET /there HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = await reader.read()
        except (DialError, ConnectionError):
            return b""
        writer.close()
        return said


async def _ways(client: Client, port: int, folder: Path, **proxy: Any) -> AsyncIterator[Ways]:
    await flux.install(client)
    informers = Informers(client)
    served = {("git.example.test", 443): folder / "mirror.sock"}
    loopback = {("localhost", port)}
    async with proxy_network("none") as network:
        table = ServiceTable(informers, network)
        inside = Inside(network.dial, (), "cluster.local", lambda: table.addresses)
        way_out = Proxy(lambda: served, loopback=loopback, inside=inside, **proxy)
        await way_out.start()

        async def names(more: Mapping[str, tuple[str, ...]]) -> None:
            await network.set_names(more)

        outlets = Outlets(informers, way_out, served.keys(), MIRROR, folder, table, names)
        running = [asyncio.create_task(part.run()) for part in (table, outlets)]
        yield Ways(client, network, way_out, outlets)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await way_out.stop()
    await informers.stop()


@pytest.fixture
async def ways(client: Client, port: int, tmp_path: Path) -> AsyncIterator[Ways]:
    async for found in _ways(client, port, tmp_path, offline=False):
        yield found


@pytest.fixture
async def offline(client: Client, port: int, tmp_path: Path) -> AsyncIterator[Ways]:
    async for found in _ways(client, port, tmp_path, offline=True):
        yield found


async def test_the_host_of_a_source_leads_out_while_there_is_one(ways: Ways, port: int) -> None:
    assert await ways.get("localhost", port) == b""
    await ways.source("theirs", f"http://localhost:{port}/theirs.git")
    answer = await eventually(lambda: ways.get("localhost", port), "the way out")
    assert answer.endswith(b"outside: /there")
    assert ways.outlets.named("localhost") == ("GitRepository default/theirs",)
    await ways.client.delete(SOURCES[0], "theirs", "default")

    async def closed() -> bool:
        return await ways.get("localhost", port) == b""

    await eventually(closed, "the way out to be closed")


async def test_another_port_of_this_machine_is_not_reached(ways: Ways, port: int) -> None:
    other = await listen(lambda request: Response(200, b"private"))
    try:
        await ways.source("sly", f"http://localhost:{other.port}/x.git")
        await eventually(lambda: ways.outlets.named("localhost"), "the source to be seen")
        assert await ways.get("localhost", other.port) == b""
    finally:
        await other.close()


async def test_a_mirrored_host_keeps_its_address_at_other_ports(ways: Ways) -> None:
    await ways.source("mirrored", "https://git.example.test/you/home.git")
    await ways.source("other", "ssh://git@git.example.test/you/home.git")
    await eventually(lambda: len(ways.outlets.named("git.example.test")) == 2, "both sources to be seen")
    # the name leads where the mirror is, so that both ports are found
    _, writer = await eventually(lambda: _dialled(ways, MIRROR, 22), "the way out at port 22")
    writer.close()


@pytest.fixture
def nobody_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of the world outside are never dialled by a test."""

    async def connect(addresses: Sequence[str], port: int) -> Ends:
        raise ConnectionRefusedError(f"{addresses} at {port}")

    monkeypatch.setattr(proxies, "_connect", connect)


@pytest.mark.usefixtures("nobody_outside")
async def test_an_address_that_becomes_a_services_leads_there(ways: Ways) -> None:
    """And never round and round: from the outlet into the cluster, where its own route led back to it."""
    await ways.source("theirs", f"https://{OTHERS}/theirs.git")
    _, writer = await eventually(lambda: _dialled(ways, OTHERS, 443), "the way out")
    writer.close()
    place = (await ways.network.add_pod("web", POD)).local
    assert place is not None
    server = await listen(lambda request: Response(200, b"the Service"), host=place.address, port=place.port(8080))
    try:
        await _serve(ways.client)
        answer = await eventually(lambda: ways.get(OTHERS, 443), "the Service at that address")
        assert answer.endswith(b"the Service")
        assert ways.outlets.named(OTHERS) == ()
        await ways.client.delete(SERVICES, "web", "default")
        await eventually(lambda: ways.outlets.named(OTHERS), "the address to lead out again")
    finally:
        await server.close()


@pytest.mark.usefixtures("nobody_outside")
async def test_an_outlet_never_leads_into_the_cluster(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the moment before it is closed."""
    await ways.source("theirs", f"https://{OTHERS}/theirs.git")
    _, writer = await eventually(lambda: _dialled(ways, OTHERS, 443), "the way out")
    writer.close()

    async def nowhere(host: str, port: int) -> Ends:
        pytest.fail(f"{host}:{port} was opened")

    monkeypatch.setattr(ways.proxy, "open", nowhere)
    monkeypatch.setattr(ways.proxy, "leads_inside", lambda host: True)
    assert await ways.get(OTHERS, 443) == b""


async def _serve(client: Client) -> None:
    """A Service at an address that a source names."""
    spec = {"ports": [{"port": 443, "targetPort": 8080}], "externalIPs": [OTHERS]}
    await client.create(SERVICES, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    piece = {
        "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [POD], "conditions": {"ready": True}}],
        "ports": [{"port": 8080}],
    }
    await client.create(ENDPOINT_SLICES, piece)


async def _dialled(ways: Ways, host: str, port: int) -> object:
    try:
        return await ways.network.dial(host, port)
    except DialError:
        return None


async def test_offline_the_host_of_a_source_is_reported_and_leads_nowhere(offline: Ways) -> None:
    await offline.source("theirs", "https://elsewhere.example.test/theirs.git")
    await eventually(lambda: offline.proxy.refused == {"elsewhere.example.test"}, "the host to be reported")
    assert offline.outlets.named("elsewhere.example.test") == ("GitRepository default/theirs",)
    assert await offline.get("elsewhere.example.test", 443) == b""


async def test_offline_what_the_definition_names_on_this_machine_is_reached(offline: Ways, port: int) -> None:
    await offline.source("home", f"http://localhost:{port}/home.git")
    await offline.source("theirs", "https://elsewhere.example.test/theirs.git")
    answer = await eventually(lambda: offline.get("localhost", port), "the way out")
    assert answer.endswith(b"outside: /there")
    await eventually(lambda: offline.proxy.refused == {"elsewhere.example.test"}, "the other host alone to be reported")
    await offline.client.delete(SOURCES[0], "home", "default")

    async def closed() -> bool:
        return await offline.get("localhost", port) == b""

    await eventually(closed, "the way out to be closed")


async def test_plain_http_is_passed_on_as_it_is(port: int) -> None:
    seen: list[Request] = []

    def handle(request: Request) -> Response:
        seen.append(request)
        return Response(200, b"plain", "text/plain")

    server = await listen(handle)
    way_out = Proxy(dict, loopback={("localhost", server.port)}, offline=False)
    await way_out.start()
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://localhost:{server.port}/charts/index.yaml?a=b"
            async with session.get(url, proxy=way_out.url, headers={"Authorization": "Basic eA=="}) as answer:
                assert await answer.read() == b"plain"
            async with session.get("http://127.0.0.1:9/", proxy=way_out.url) as answer:
                assert (answer.status, answer.reason) == (
                    403,
                    "127.0.0.1:9 is this machine itself, which is not served",
                )
        assert (seen[0].path, seen[0].param("a")) == ("/charts/index.yaml", "b")
        assert seen[0].headers["authorization"] == "Basic eA=="
        assert seen[0].headers["host"] == f"localhost:{server.port}"
    finally:
        await way_out.stop()
        await server.close()
