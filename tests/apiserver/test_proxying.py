"""Requests that a kubelet answers, through a real TLS kubelet on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.apiserver import authority, kubeconfig, running, serving

from nerv import certificates
from nerv.apiserver.identity import ADMIN
from nerv.apiserver.server import ApiServer
from nerv.http import tls
from nerv.http.messages import Answer, Chunk, Request, Response, Stream, StreamWriter, Upgrade
from nerv.http.server import Server, listen
from nerv.kube.client import Client
from nerv.kube.resources import NODES, PODS
from nerv.kube.tls import TlsTransport


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data.upper())


def kubelet(request: Request) -> Answer:
    """Says what it was asked, and by whom."""
    if request.path.startswith("/exec/"):
        return Upgrade(shout, headers={"Connection": "Upgrade", "Upgrade": "shout", "X-Asked": request.query})
    if request.param("follow"):

        def start(writer: StreamWriter) -> None:
            writer.write(Chunk(b"line one\n"))
            writer.write(Chunk(b"line two\n"))
            writer.close()

        return Stream(start, content_type="text/plain")
    name = request.peer.common_name if request.peer else "nobody"
    return Response(200, f"{name} {request.path}?{request.query}".encode(), "text/plain")


async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(host, port)


@pytest.fixture
async def machine() -> AsyncIterator[Server]:
    pair = certificates.issue(authority(), "system:node:n", names=["127.0.0.1"])
    server = await listen(kubelet, ssl=tls.server_context(pair.certificate, pair.key, authority().certificate))
    yield server
    await server.close()


@pytest.fixture
async def server(tmp_path: Path, machine: Server) -> AsyncIterator[ApiServer]:
    pair = certificates.issue(authority(), "apiserver-client", client=True, server=False)
    async with running(tmp_path, serving=serving(), egress=dial, kubelet_client=pair) as made:
        client = made.direct(ADMIN)
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": machine.port}},
        }
        await client.create(NODES, {"metadata": {"name": "n"}, "status": status})
        spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
        await client.create(PODS, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
        yield made


async def test_log_comes_from_the_kubelet_of_the_node(server: ApiServer) -> None:
    path = "/api/v1/namespaces/default/pods/p/log"
    answer = await server.direct(ADMIN).raw("GET", path, query={"tailLines": "3"})
    assert answer.body == b"apiserver-client /containerLogs/default/p/c?tailLines=3"


async def test_followed_log_streams(server: ApiServer, tmp_path: Path) -> None:
    transport = TlsTransport.from_kubeconfig(kubeconfig(server, tmp_path))
    path = "/api/v1/namespaces/default/pods/p/log?follow=true"
    assert [line async for line in transport.stream(path, {}) if line] == [b"line one", b"line two"]
    await transport.close()


async def test_exec_joins_both_ends(server: ApiServer, tmp_path: Path) -> None:
    user = certificates.issue(authority(), "admin", organizations=["system:masters"], client=True, server=False)
    context = tls.client_context(authority().certificate, user.certificate, user.key)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="127.0.0.1")
    path = "/api/v1/namespaces/default/pods/p/exec?command=ls&command=-l&stdout=true&stdin=true"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    assert b"command=ls&command=-l&input=1&output=1" in head
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"HELLO"
    writer.close()


async def test_node_proxy(server: ApiServer) -> None:
    answer = await server.direct(ADMIN).raw("GET", "/api/v1/nodes/n/proxy/stats/summary", query={"a": "1"})
    assert answer.body == b"apiserver-client /stats/summary?a=1"


async def test_pod_without_a_node(server: ApiServer) -> None:
    client: Client = server.direct(ADMIN)
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await client.create(PODS, {"metadata": {"name": "q", "namespace": "default"}, "spec": spec})
    answer = await client.raw("GET", "/api/v1/namespaces/default/pods/q/log")
    assert (answer.status, answer.body) == (204, b"")  # an empty log, as the real server answers
    answer = await client.raw("POST", "/api/v1/namespaces/default/pods/q/exec?command=x&stdout=true")
    assert (answer.status, b"does not have a host assigned" in answer.body) == (400, True)
