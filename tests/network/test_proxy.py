"""Driver `proxy`: cluster addresses and names by proxies on loopback, through real sockets."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from tests.support.nodes import proxy_network

from nerv.errors import NervError
from nerv.network import choosing
from nerv.network.driver import DialError, NameTable
from nerv.network.proxy import ProxyNetwork
from nerv.network.routes import Inside, Outside, Route


@pytest.fixture
async def net() -> AsyncIterator[ProxyNetwork]:
    async with proxy_network("none") as made:
        yield made


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()


@pytest.fixture
async def pod(net: ProxyNetwork) -> AsyncIterator[str]:
    """A pod that listens at port 9443, behind a Service and a LoadBalancer's address."""
    local = (await net.add_pod("pod", "10.42.0.9")).local
    assert local is not None
    server = await asyncio.start_server(_echo, local.address, local.port(9443))
    await net.set_routes(
        [
            Route("10.43.0.7", 443, (Inside("10.42.0.9", 9443),)),
            Route("192.168.1.111", 443, (Inside("10.43.0.7", 443),)),
        ]
    )
    await net.set_service_names(NameTable({"web.default.svc.cluster.local": ("10.43.0.7",)}))
    await net.set_names({"git.example.test": ("10.43.0.7",)})
    yield "10.42.0.9"
    server.close()


async def _says(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], data: bytes) -> bytes:
    reader, writer = streams
    writer.write(data)
    writer.write_eof()
    said = await reader.read()
    writer.close()
    return said


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("10.42.0.9", 9443),
        ("10.43.0.7", 443),
        ("192.168.1.111", 443),
        ("web.default.svc.cluster.local.", 443),
        ("git.example.test", 443),
    ],
)
async def test_addresses_and_names_lead_to_the_pod_by_every_way(
    net: ProxyNetwork, pod: str, host: str, port: int
) -> None:
    large = b"x" * (1 << 20)
    assert await _says(await net.dial(host, port), large) == large
    assert await _says(await _connect(net, host, port), b"by CONNECT") == b"by CONNECT"
    streams, code = await _socks(net, host, port)
    assert code == 0
    assert await _says(streams, b"by SOCKS") == b"by SOCKS"


async def _connect(net: ProxyNetwork, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(net.egress_socket))
    writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    return reader, writer


async def _socks(
    net: ProxyNetwork, host: str, port: int, password: str | None = None, command: int = 1
) -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter], int]:
    """As Go's client speaks (golang.org/x/net/internal/socks); streams and the answer's code, -1 without a login."""
    local = net.host("10.42.0.200").local
    assert local is not None
    proxy = urlsplit(local.proxy)
    assert (proxy.scheme, proxy.hostname) == ("socks5", "127.0.0.1")
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
    writer.write(b"\x05\x02\x00\x02")
    assert await reader.readexactly(2) == b"\x05\x02"
    user, word = (proxy.username or "").encode(), (password or proxy.password or "").encode()
    writer.write(b"\x01" + bytes([len(user)]) + user + bytes([len(word)]) + word)
    if (await reader.readexactly(2))[1]:
        return (reader, writer), -1
    name = host.encode()
    writer.write(bytes([5, command, 0, 3, len(name)]) + name + port.to_bytes(2, "big"))
    return (reader, writer), (await reader.readexactly(10))[1]


@pytest.mark.parametrize(
    ("host", "command", "code"),
    [("10.43.0.8", 1, 5), ("10.42.0.10", 1, 5), ("127.0.0.1", 1, 5), ("nowhere.example", 1, 4), ("10.43.0.7", 3, 7)],
)
async def test_the_proxy_leads_to_the_cluster_alone(net: ProxyNetwork, host: str, command: int, code: int) -> None:
    (_, writer), answered = await _socks(net, host, 443, command=command)
    assert answered == code
    writer.close()


async def test_the_proxy_asks_for_the_login_that_pods_have(net: ProxyNetwork, pod: str) -> None:
    (reader, writer), answered = await _socks(net, "10.43.0.7", 443, password="guessed")
    assert answered == -1
    assert await reader.read() == b""
    writer.close()


async def test_what_nobody_serves_is_refused_in_gos_words(net: ProxyNetwork, pod: str) -> None:
    for host, port in (("10.43.0.8", 443), ("10.42.0.9", 22), ("10.42.0.77", 80), ("203.0.113.1", 80)):
        with pytest.raises(DialError, match=rf"^dial tcp {host}:{port}: connect: connection refused$"):
            await net.dial(host, port)
    with pytest.raises(DialError, match=r"^dial tcp: lookup nowhere\.example: no such host$"):
        await net.dial("nowhere.example", 80)


async def test_a_pod_that_has_gone_is_not_reached(net: ProxyNetwork, pod: str) -> None:
    await net.remove_pod("pod")
    with pytest.raises(DialError, match="connection refused"):
        await net.dial("10.43.0.7", 443)
    await net.remove_pod("never was")


async def test_pods_find_the_api_server_on_loopback(net: ProxyNetwork) -> None:
    unix = net.config.run_folder / "api.sock"
    server = await asyncio.start_unix_server(_echo, str(unix))
    await net.set_routes([Route("10.43.0.1", 443, (Outside(str(unix)),))])
    local = net.host("10.42.0.9").local
    assert local is not None
    assert await _says(await asyncio.open_connection(*local.api), b"hello") == b"hello"
    server.close()


async def test_the_egress_socket_is_private(net: ProxyNetwork) -> None:
    assert stat.S_IMODE(net.egress_socket.stat().st_mode) == 0o600


async def _refused() -> str:
    return "user namespaces are refused here: EPERM (remedy)"


async def _allowed() -> str:
    return ""


async def test_the_driver_is_chosen_by_trying_and_says_why() -> None:
    assert await choosing.choose(None, _allowed) == choosing.Choice("namespaces")
    assert await choosing.choose(None, _refused) == choosing.Choice("proxy", await _refused())
    assert (await choosing.choose("proxy", _allowed)).driver == "proxy"
    with pytest.raises(NervError, match="refused here") as caught:
        await choosing.choose("namespaces", _refused)
    assert "--network proxy" in caught.value.hint
