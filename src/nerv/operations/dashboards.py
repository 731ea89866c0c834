"""Whether the dashboards answer: asked through the cluster's own network with its names, login and authority, as a
browser would. A route that is Ready may still lead to nobody for a second or two, until Traefik has taken an endpoint
up.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from nerv.operations.keys import Credentials

Dial = Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
_PATIENCE = 5.0
_HTTPS = 443
_NO_ROUTE = 404
_BROKEN = 500


class Dashboards:
    """Asks each host until it has answered once; from then on that is settled for this start of the platform."""

    def __init__(self, dial: Dial, hosts: tuple[str, ...], ca_file: Path, login: Credentials) -> None:
        self._dial = dial
        self._ca_file = ca_file
        self._login = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        self.waiting: dict[str, str] = dict.fromkeys(hosts, "nothing yet")
        """what each host that has not answered well said last"""

    async def answer(self, address: str) -> bool:
        """Ask, at the ingress' address, all that have not answered yet."""
        hosts = list(self.waiting)
        said = await asyncio.gather(*(self._ask(address, host) for host in hosts))
        self.waiting = {host: problem for host, problem in zip(hosts, said, strict=True) if problem}
        return not self.waiting

    async def _ask(self, address: str, host: str) -> str:
        """Empty when the host has answered, else what is wrong."""
        try:
            async with asyncio.timeout(_PATIENCE):
                code = await self._status(address, host)
        except TimeoutError:
            return "no answer"
        except (OSError, ssl.SSLError) as error:
            return str(error)
        return f"HTTP {code}" if code == _NO_ROUTE or code >= _BROKEN else ""

    async def _status(self, address: str, host: str) -> int:
        context = ssl.create_default_context(cafile=str(self._ca_file))
        _, writer = plain = await self._dial(address, _HTTPS)
        try:
            await writer.start_tls(context, server_hostname=host)
            head = f"GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {self._login}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            await writer.drain()
            words = (await plain[0].readline()).split()
        finally:
            writer.close()
        if len(words) < 2 or not words[1].isdigit():
            raise ConnectionError("the connection was closed without an answer")
        return int(words[1])
