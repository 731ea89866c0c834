"""A transport for callers in the same process: no sockets, no TLS, the same request chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from urllib.parse import unquote

import orjson

from nerv.apiserver.identity import User
from nerv.http.messages import Answer, Chunk, Request, Response, Stream
from nerv.kube import errors
from nerv.kube.client import RawResponse

Serve = Callable[[Request, User], Answer | Awaitable[Answer]]


_HIGH_WATER = 1 << 20


class DirectTransport:
    """Speaks as `user`."""

    def __init__(self, serve: Serve, user: User) -> None:
        self._serve = serve
        self._user = user

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        """One exchange."""
        answer = await self._answer(method, path, headers, body)
        if not isinstance(answer, Response):
            raise errors.BadRequest(f"{path} is a stream")
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        return RawResponse(answer.status, lowered | {"content-type": answer.content_type}, answer.body)

    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The lines of a stream."""
        answer = await self._answer("GET", path, headers, b"")
        if isinstance(answer, Response):
            raise errors.from_status(orjson.loads(answer.body))
        if not isinstance(answer, Stream):
            raise errors.BadRequest(f"{path} is no stream")
        pipe = _Pipe()
        answer.on_start(pipe)
        try:
            async for chunk in pipe:
                for line in chunk.splitlines():
                    yield line
        finally:
            pipe.close()

    async def close(self) -> None:
        """Nothing is held."""

    async def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        raw, _, query = path.partition("?")
        answer = self._serve(Request(method, unquote(raw), query, headers, body, None, raw), self._user)
        return await answer if isinstance(answer, Awaitable) else answer


class _Pipe:
    """A `StreamWriter` whose other end is an async iterator."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._buffered = 0
        self._closed = False
        self._callbacks: list[Callable[[], None]] = []
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def buffered(self) -> int:
        return self._buffered

    @property
    def closed(self) -> bool:
        return self._closed

    def write(self, chunk: Chunk) -> None:
        if not self._closed:
            self._buffered += len(chunk.data)
            self._queue.put_nowait(chunk.data)
            if self._buffered > _HIGH_WATER:
                self._writable.clear()

    async def drain(self) -> None:
        await self._writable.wait()

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writable.set()
        self._queue.put_nowait(None)
        for callback in self._callbacks:
            callback()

    def on_close(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        while (data := await self._queue.get()) is not None:
            self._buffered -= len(data)
            if self._buffered <= _HIGH_WATER:
                self._writable.set()
            yield data
