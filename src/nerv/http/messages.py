"""Requests and answers, apart from any wire: what a handler is given and what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Peer:
    """Who a verified client certificate names."""

    common_name: str
    organizations: tuple[str, ...] = ()


@dataclass(eq=False)
class Request:
    """One request with its whole body. Header names are lower-case; `path` is decoded and has no query."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: Peer | None = None
    raw_path: str = ""
    """The path as it was sent, for passing it on."""

    @cached_property
    def params(self) -> dict[str, list[str]]:
        """The query's parameters in order; blank values are kept."""
        return parse_qs(self.query, keep_blank_values=True) if self.query else {}

    def param(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        found = self.params.get(name)
        return found[0] if found else default


@dataclass(frozen=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Chunk:
    """Bytes of a stream that go to many readers: framed for HTTP once, and shared."""

    __slots__ = ("_framed", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._framed: bytes | None = None

    @property
    def framed(self) -> bytes:
        """`data` as one chunk of the chunked transfer coding."""
        if self._framed is None:
            self._framed = b"%x\r\n%b\r\n" % (len(self.data), self.data)
        return self._framed


class StreamWriter(Protocol):
    """The sending end of a `Stream`. `write` never blocks: look at `buffered` and close a reader that is too slow."""

    @property
    def buffered(self) -> int:
        """Bytes that were written and not yet taken by the reader."""
        ...

    @property
    def closed(self) -> bool:
        """Either end has closed."""
        ...

    def write(self, chunk: Chunk) -> None:
        """Send one chunk; nothing happens when the stream is closed."""
        ...

    async def drain(self) -> None:
        """Wait until the reader has taken enough; at once when the stream is closed."""
        ...

    def close(self) -> None:
        """End the answer properly."""
        ...

    def abort(self) -> None:
        """End the answer so that the reader sees that it is not whole."""
        ...

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when either end closes."""
        ...


@dataclass(frozen=True)
class Stream:
    """An answer without a known end. `on_start` is called once the head is sent, and keeps the writer."""

    on_start: Callable[[StreamWriter], None]
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Upgrade:
    """The connection changes its protocol: after the head, `on_start` owns both directions until it returns."""

    on_start: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    status: int = 101
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Response | Stream | Upgrade
Handler = Callable[[Request], Answer | Awaitable[Answer]]
