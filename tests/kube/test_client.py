"""The client over TLS, against a real server: errors by situation, discovery, watches across the wire."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.support.apiserver import authority, kubeconfig, running, serving

from nerv.errors import NervError
from nerv.http import tls
from nerv.http.messages import Chunk, Request, Stream, StreamWriter
from nerv.http.server import listen
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import CONFIG_MAPS
from nerv.kube.tls import Access, TlsTransport


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running(tmp_path, serving=serving()) as server:
        made = Client(TlsTransport.from_kubeconfig(kubeconfig(server, tmp_path)))
        yield made
        await made.close()


def config_map(name: str = "a", data: str = "") -> dict:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"x": data}}


async def test_errors_are_situations(client: Client) -> None:
    with pytest.raises(errors.NotFound):
        await client.get(CONFIG_MAPS, "a", "default")
    made = await client.create(CONFIG_MAPS, config_map())
    with pytest.raises(errors.AlreadyExists):
        await client.create(CONFIG_MAPS, config_map())
    await client.patch(CONFIG_MAPS, "a", "default", {"data": {"x": "1"}})
    with pytest.raises(errors.Conflict):
        await client.replace(CONFIG_MAPS, made)


async def test_long_events_cross_the_wire_whole(client: Client) -> None:
    start = (await client.list(CONFIG_MAPS)).resource_version
    async with aclosing(client.watch(CONFIG_MAPS, resource_version=start)) as events:
        await client.create(CONFIG_MAPS, config_map("long", "y" * 500_000))
        await client.create(CONFIG_MAPS, config_map("short"))
        names = []
        async for event in events:
            names.append(event.object["metadata"]["name"])
            if len(names) == 2:
                break
    assert names == ["long", "short"]


async def test_kind_is_found_by_discovery(client: Client) -> None:
    found = await client.resource_for("apps/v1", "Deployment")
    assert (found.plural, found.namespaced, found.subresource("scale") is not None) == ("deployments", True, True)
    with pytest.raises(errors.NoMatch, match='no matches for kind "Nothing"'):
        await client.resource_for("apps/v1", "Nothing")


async def test_server_that_is_not_there() -> None:
    client = Client(TlsTransport(Access("https://127.0.0.1:1", authority().certificate)))
    with pytest.raises(errors.Unreachable, match=r"the API server https://127\.0\.0\.1:1 does not answer"):
        await client.list(CONFIG_MAPS)
    await client.close()


async def test_a_request_without_content_names_no_type() -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).lower())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        client = Client(TlsTransport(Access(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")))
        await client.raw("GET", "/api/v1")
        await client.close()
    assert b"content-type" not in heads[0]  # kube-apiserver answers 406 to discovery with one


async def test_renewed_token_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    (tmp_path / "ca.crt").write_text(authority().certificate)
    token.write_text("first")
    access = Access.in_cluster({"KUBERNETES_SERVICE_HOST": "10.43.0.1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert (access.server, access.token_file) == ("https://10.43.0.1:443", token)


def test_outside_of_a_pod(tmp_path: Path) -> None:
    with pytest.raises(NervError, match="does not run in a pod"):
        Access.in_cluster({}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("current-context: x\ncontexts: []\n", "there is no context 'x'"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n", "there is no cluster 'c'"),
    ],
)
def test_kubeconfig_with_a_hole(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(NervError, match=message):
        Access.from_kubeconfig(path)


def test_missing_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(NervError, match="No such file"):
        Access.from_kubeconfig(tmp_path / "none")


@pytest.mark.parametrize("moment", ["handshake", "answer", "body"])
async def test_a_request_that_is_cancelled_leaves_no_connection(moment: str) -> None:
    begun = threading.Event()

    async def never(request: Request) -> Stream:
        if moment == "answer":
            begun.set()
            await asyncio.Event().wait()
        return Stream(start)

    def start(writer: StreamWriter) -> None:
        writer.write(Chunk(b"{"))
        asyncio.get_running_loop().call_soon(begun.set)

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await reader.read()
        writer.close()

    async def ask(port: int) -> None:
        transport = TlsTransport(Access(f"https://127.0.0.1:{port}", authority().certificate))
        asking = asyncio.ensure_future(transport.request("GET", "/version", {}, b""))
        assert await asyncio.to_thread(begun.wait, 30), "the server was not asked"
        for _ in range(20):
            await asyncio.sleep(0)  # what has been sent is there: let it be read
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await transport.close()

    def left(port: int) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asyncio.run(ask(port))
            gc.collect()
        return [str(warning.message) for warning in caught]

    if moment != "handshake":
        server = await listen(never, ssl=tls.server_context(serving().certificate, serving().key))
        assert await asyncio.to_thread(left, server.port) == []
        await server.close()
    else:
        async with await asyncio.start_server(accepted, "127.0.0.1") as silent:
            assert await asyncio.to_thread(left, silent.sockets[0].getsockname()[1]) == []
