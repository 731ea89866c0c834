"""The API server: configuration, life cycle, and the chain that every request goes through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from nerv import tasks
from nerv.apiserver import bootstrap, custom, handlers, requests
from nerv.apiserver.admission import MUTATING, VALIDATING
from nerv.apiserver.context import Context
from nerv.apiserver.direct import DirectTransport
from nerv.apiserver.discovery import Discovery
from nerv.apiserver.endpoints import Endpoints
from nerv.apiserver.identity import ADMIN, User
from nerv.apiserver.registry import Registry
from nerv.apiserver.requests import Call
from nerv.apiserver.store import Change, Store
from nerv.errors import NervError
from nerv.http.messages import Answer, Request, Response
from nerv.kube import errors
from nerv.kube.client import Client

_log = logging.getLogger(__name__)


def system_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Config:
    """What an API server needs to know."""

    database: Path
    now: Callable[[], datetime] = system_now


class ApiServer:
    """`start`, then `direct` clients and `handle`; `stop` makes everything durable and closes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = Store(config.database)
        self._context = Context(self._store, Registry(), config.now, MUTATING, VALIDATING)
        self._endpoints = Endpoints(Discovery(self._context.registry))
        self._tasks = tasks.Supervisor()
        self._definitions_changed = asyncio.Event()

    async def start(self) -> None:
        """Open the store and make what every cluster has. Raises NervError."""
        self._store.open()
        for entry in self._store.iterate(custom.KEY):
            custom.follow(self._context, Change(custom.KEY, entry.version, None, entry, deleted=False))
        self._store.on_commit.append(self._follow)
        await bootstrap.create_namespaces(self.direct(ADMIN))
        self._definitions_changed.set()
        self._tasks.start("custom-resource-cleanup", self._clean_definitions)

    async def stop(self) -> None:
        """End all work; what was acknowledged is durable."""
        await self._tasks.stop()
        await self._store.close()

    def direct(self, user: User, *, user_agent: str = "nerv", field_manager: str = "nerv") -> Client:
        """A client in this process that acts as `user`."""
        transport = DirectTransport(self.serve, user)
        return Client(transport, user_agent=user_agent, field_manager=field_manager)

    def serve(self, request: Request, user: User) -> Answer | Awaitable[Answer]:
        """Answer an authenticated request. Reads are answered at once, writes when they are durable."""
        try:
            call = Call(request, user, requests.parse(request))
            if not call.target.is_resource:
                return self._endpoints.answer(call)
            answer = handlers.resource(self._context, call)
        except errors.ApiError as error:
            return _refusal(error)
        return answer if not isinstance(answer, Awaitable) else self._finish(answer)

    async def _finish(self, answer: Awaitable[Answer]) -> Answer:
        try:
            return await answer
        except errors.ApiError as error:
            return _refusal(error)
        except NervError as error:
            return _refusal(errors.InternalError(f"Internal error occurred: {error.message}"))

    def _follow(self, change: Change) -> None:
        custom.follow(self._context, change)
        if change.key == custom.KEY or self._context.registry.custom(change.key):
            self._definitions_changed.set()

    async def _clean_definitions(self) -> None:
        while True:
            await self._definitions_changed.wait()
            self._definitions_changed.clear()
            for name in custom.terminating(self._context):
                await custom.empty(self._context, name)


def _refusal(error: errors.ApiError) -> Response:
    return Response(error.code, orjson.dumps(error.status))
