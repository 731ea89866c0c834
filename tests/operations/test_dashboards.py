"""Asking the dashboards, over TLS to a server of the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.platforms import small

from nerv import certificates
from nerv.network.driver import DialError
from nerv.operations import plan
from nerv.operations.dashboards import Dashboards
from nerv.operations.keys import Credentials

AUTHORITY = certificates.create_ca("dashboards")
HOST = "flux.nerv.local"


class Ingress:
    """Answers what the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = b"503 Service Unavailable"
        self.asked: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + self.status + b"\r\n\r\n" if self.status else b"")
        await writer.drain()
        writer.close()

    async def dial(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert (host, port) == ("192.168.1.111", 443)
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def _ingress(folder: Path, names: list[str]) -> AsyncIterator[tuple[Ingress, Dashboards]]:
    pair = certificates.issue(AUTHORITY, names[0], names=names)
    for name, text in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("ca.crt", AUTHORITY.certificate)):
        (folder / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    ingress = Ingress()
    server = await asyncio.start_server(ingress.serve, "127.0.0.1", 0, ssl=context)
    ingress.port = server.sockets[0].getsockname()[1]
    try:
        yield ingress, Dashboards(ingress.dial, (HOST,), folder / "ca.crt", Credentials("admin", "secret"))
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("status", [b"503 Service Unavailable", b"502 Bad Gateway", b"404 Not Found", b""])
async def test_a_route_that_leads_to_nobody_is_waited_for(tmp_path: Path, status: bytes) -> None:
    async with _ingress(tmp_path, [HOST]) as (ingress, dashboards):
        ingress.status = status
        assert not await dashboards.answer("192.168.1.111")
        assert list(dashboards.waiting) == [HOST]
        ingress.status = b"200 OK"
        assert await dashboards.answer("192.168.1.111")
        assert b"Authorization: Basic YWRtaW46c2VjcmV0\r\n" in ingress.asked[-1]
        count = len(ingress.asked)
        assert await dashboards.answer("192.168.1.111")
        assert len(ingress.asked) == count  # what has answered once is not asked again


async def test_a_certificate_of_somebody_else_is_no_answer(tmp_path: Path) -> None:
    async with _ingress(tmp_path, ["other.nerv.local"]) as (_, dashboards):
        assert not await dashboards.answer("192.168.1.111")
        assert "certificate" in dashboards.waiting[HOST]


async def test_a_network_that_refuses_is_no_answer(tmp_path: Path) -> None:
    async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise DialError(f"dial tcp {host}:{port}: connect: connection refused")

    (tmp_path / "ca.crt").write_text(AUTHORITY.certificate)
    dashboards = Dashboards(dial, (HOST,), tmp_path / "ca.crt", Credentials("a", "b"))
    assert not await dashboards.answer("192.168.1.111")
    assert dashboards.waiting == {HOST: "dial tcp 192.168.1.111:443: connect: connection refused"}


def test_without_the_console_nobody_serves_longhorns_pages_here() -> None:
    assert set(plan.dashboards(small())) == {"flux.nerv.local", "longhorn.nerv.local", "traefik.nerv.local"}
    assert plan.dashboards(small("    console: {enabled: false}\n")) == ("traefik.nerv.local",)
