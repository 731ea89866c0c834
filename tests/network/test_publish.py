"""LoadBalancer addresses on this machine's loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

from tests.support.nodes import needs_namespaces, network

from nerv.controllers.runtime import Informers
from nerv.kube.client import Client
from nerv.network import publish
from nerv.network.publish import Publisher
from nerv.network.routes import Outside, Route


def test_the_block_keeps_the_last_three_numbers() -> None:
    assert publish.blocks("192.168.1.111")[:2] == ["127.168.1.111", "127.169.1.111"]
    assert all(block.startswith("127.") for block in publish.blocks("10.254.3.4"))


def test_http_is_redirected_to_the_published_https_port() -> None:
    head = "GET /a?b=c HTTP/1.1\r\nHost: traefik.nerv.local:8080\r\n\r\n"
    assert b"\r\nLocation: https://traefik.nerv.local:8443/a?b=c\r\n" in publish.redirect(head, 8443)
    assert b"\r\nLocation: https://traefik.nerv.local/a?b=c\r\n" in publish.redirect(head, 443)
    assert publish.redirect("GET / HTTP/1.0\r\n\r\n", 443).startswith(b"HTTP/1.1 400 ")


def test_ports_of_all_services_at_an_address_are_wanted() -> None:
    def service(*ports: int) -> dict[str, object]:
        return {
            "spec": {"ports": [*({"port": port} for port in ports), {"port": 53, "protocol": "UDP"}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.168.1.111"}]}},
        }

    assert publish.wanted([service(443, 80), service(9000)]) == {"192.168.1.111": (80, 443, 9000)}


@needs_namespaces
async def test_what_is_published_reaches_the_cluster(client: Client, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"secure " + await reader.read())
        writer.close()

    state = tmp_path / "published.json"
    async with network() as net:
        unix = net.config.run_folder / "service.sock"
        server = await asyncio.start_unix_server(serve, str(unix))
        await net.set_routes([Route("192.0.2.7", 443, (Outside(str(unix)),))])
        publisher = Publisher(Informers(client), net, state)
        await publisher.publish({"192.0.2.7": (80, 443)})
        plain, secure = publisher.published
        assert (plain.port, secure.port) == (80, 443)
        assert plain.host == secure.host
        assert secure.host.startswith("127.")
        reader, writer = await asyncio.open_connection(secure.host, secure.host_port)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"secure hello"
        writer.close()
        reader, writer = await asyncio.open_connection(plain.host, plain.host_port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: app\r\n\r\n")
        place = "https://app" + (f":{secure.host_port}" if secure.host_port != 443 else "") + "/x"
        assert f"Location: {place}\r\n".encode() in await reader.read()
        writer.close()
        await publisher.publish({})
        assert publisher.published == []
        assert json.loads(state.read_text())["192.0.2.7"]["host"] == secure.host
        server.close()


@needs_namespaces
async def test_a_taken_port_moves_the_whole_address_to_the_next_block(client: Client, tmp_path: Path) -> None:
    async with network() as net:
        taken = [socket.socket() for _ in range(2)]
        first = publish.blocks("192.0.2.8")[0]
        try:
            for each, port in zip(taken, (9443, 8000 + 443), strict=True):
                each.bind((first, port))
                each.listen()
            publisher = Publisher(Informers(client), net, tmp_path / "state.json")
            await publisher.publish({"192.0.2.8": (9443,)})
            assert [(entry.host, entry.host_port) for entry in publisher.published] == [
                (publish.blocks("192.0.2.8")[1], 9443)
            ]
            again = Publisher(Informers(client), net, tmp_path / "state.json")
            await publisher.publish({})
            for each in taken:
                each.close()
            await again.publish({"192.0.2.8": (9443,)})
            assert again.published[0].host == publish.blocks("192.0.2.8")[1]
            await again.publish({})
        finally:
            for each in taken:
                each.close()
