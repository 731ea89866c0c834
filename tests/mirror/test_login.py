"""The proxy on loopback serves nobody without its login; git and ssh have it, and their arguments do not show it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from nerv.builders import ssh
from nerv.builders.git import Access
from nerv.http.messages import Response
from nerv.http.server import listen
from nerv.mirror.proxy import Proxy

HOST = "git.example.test"


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    server = await listen(lambda request: Response(200, b"served"), unix=tmp_path / "served.sock")
    running = Proxy(lambda: {(HOST, 80): tmp_path / "served.sock"}, offline=True)
    await running.start(tmp_path / "inside.sock")
    yield running
    await running.stop()
    await server.close()


def _bare(url: str, login: str = "") -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{login}{parts.hostname}:{parts.port}").geturl()


@pytest.mark.parametrize("login", ["", "nerv:@", "nerv:guessed@", "other:guessed@"])
async def test_nobody_is_served_without_the_login(proxy: Proxy, login: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{HOST}/", proxy=_bare(proxy.url, login)) as answer,
    ):
        assert (answer.status, answer.headers["Proxy-Authenticate"]) == (407, 'Basic realm="nerv"')
        assert b"served" not in (await answer.read()).split()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientHttpProxyError, match="this proxy serves its own platform alone"):
            await session.get(f"https://{HOST}/", proxy=_bare(proxy.url, login))
    # who has no login does not learn what is refused offline
    assert not proxy.refused


async def test_who_has_the_url_is_served(proxy: Proxy) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"http://{HOST}/", proxy=proxy.url) as answer:
        assert await answer.read() == b"served"


async def test_pods_come_through_the_private_socket_without_one(proxy: Proxy, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "inside.sock"))
    writer.write(f"GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert (await reader.read()).endswith(b"served")
    writer.close()


async def test_no_argument_shows_it(proxy: Proxy, tmp_path: Path) -> None:
    token = urlsplit(proxy.url).password
    assert token
    command = ssh.command(f"ssh://git@{HOST}/home.git", tmp_path, ssh.generate(), "", proxy.url)
    assert token not in command
    assert str(tmp_path / "proxy") in " ".join(shlex.split(command))
    assert (tmp_path / "proxy").stat().st_mode & 0o777 == 0o600
    assert token not in repr(Access(proxy.url))
