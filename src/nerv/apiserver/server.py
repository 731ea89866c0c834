"""The API server: configuration, life cycle, and the chain that every request goes through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from nerv import tasks
from nerv.apiserver import bootstrap, custom, handlers, requests
from nerv.apiserver.access import aggregation, impersonation
from nerv.apiserver.access.rbac import Authorizer
from nerv.apiserver.access.reviews import Reviews
from nerv.apiserver.addresses import SERVICES, Addresses
from nerv.apiserver.admission import FINISHING, MUTATING, VALIDATING
from nerv.apiserver.audit import AuditLog
from nerv.apiserver.authentication import Authenticator
from nerv.apiserver.configuration import PodSecurity
from nerv.apiserver.context import Context
from nerv.apiserver.direct import DirectTransport
from nerv.apiserver.discovery import Discovery
from nerv.apiserver.endpoints import Endpoints
from nerv.apiserver.identity import ADMIN, User
from nerv.apiserver.proxying import Proxy
from nerv.apiserver.publication import Publication
from nerv.apiserver.registry import Registry, Served
from nerv.apiserver.requests import Call
from nerv.apiserver.store import Change, Store
from nerv.apiserver.tokens import Signer
from nerv.apiserver.webhooks import converting
from nerv.apiserver.webhooks.calling import Caller
from nerv.certificates import KeyPair
from nerv.errors import NervError
from nerv.http import tls
from nerv.http.exchange import Dial
from nerv.http.messages import Answer, Request, Response
from nerv.http.server import Server, listen
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CLUSTER_ROLES

_log = logging.getLogger(__name__)


def system_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Config:
    """What an API server needs to know. Without `serving` it does not listen: only direct clients reach it."""

    database: Path
    service_account_key: str
    """Private EC key, PEM, that signs service account tokens."""
    ca_pem: str
    """Published to pods as kube-root-ca.crt; client certificates and kubelets are of this authority."""
    serving: KeyPair | None = None
    kubelet_client: KeyPair | None = None
    """Shown to kubelets."""
    issuer: str = "https://kubernetes.default.svc.cluster.local"
    service_cidr: str = "10.43.0.0/16"
    host: str = "127.0.0.1"
    port: int = 0
    reuse_port: bool = False
    """The port is held already, by a socket that shares it."""
    unix: Path | None = None
    """A socket beside host and port, with the same TLS: the network gives it the address of the Service."""
    egress: Dial | None = None
    """Dials an address of the cluster's network: a webhook's pod, a kubelet."""
    outside: Dial | None = None
    """Dials where a webhook's URL leads, inside the cluster or out of it."""
    audit: Path | None = None
    pod_security: PodSecurity = field(default_factory=PodSecurity)
    now: Callable[[], datetime] = system_now


class ApiServer:
    """`start`, then `direct` clients and `handle`; `stop` makes everything durable and closes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = Store(config.database)
        self._signer = Signer(config.service_account_key, config.issuer)
        self._authenticator = Authenticator(self._store, self._signer, config.now)
        self._servers: list[Server] = []
        self._audit = AuditLog(config.audit, config.now)
        self._authorizer = Authorizer(self._store)
        self._context = Context(
            store=self._store,
            registry=Registry(),
            now=config.now,
            convert=self._convert,
            signer=self._signer,
            authorizer=self._authorizer,
            reviews=Reviews(self._authenticator, self._authorizer),
            addresses=Addresses(config.service_cidr),
            webhooks=Caller(self._store, config.egress, config.outside),
            proxy=Proxy(self._store, config.egress, config.ca_pem, config.kubelet_client),
            pod_security=config.pod_security,
            mutating=MUTATING,
            finishing=FINISHING,
            validating=VALIDATING,
        )
        self._endpoints = Endpoints(
            Discovery(self._context.registry), Publication(self._context.registry), self._signer
        )
        self._tasks = tasks.Supervisor()
        self._definitions_changed = asyncio.Event()
        self._roles_changed = asyncio.Event()

    async def start(self) -> None:
        """Open the store and make what every cluster has. Raises NervError."""
        self._store.open()
        for entry in self._store.iterate(custom.KEY):
            custom.follow(self._context, Change(custom.KEY, entry.version, None, entry, deleted=False))
        for entry in self._store.iterate(SERVICES):
            self._context.addresses.load(entry)
        self._store.on_commit.append(self._context.addresses.follow)
        self._store.on_commit.append(self._follow)
        first = str(self._context.addresses.network[1])
        await bootstrap.prepare(self._store, self.direct(ADMIN, field_manager="kube-apiserver"), first)
        self._definitions_changed.set()
        self._tasks.start("custom-resource-cleanup", self._clean_definitions)
        self._tasks.start("role-aggregation", self._gather_roles)
        await self._listen()

    async def stop(self) -> None:
        """End all work; what was acknowledged is durable."""
        for server in self._servers:
            await server.close()
        await self._tasks.stop()
        await self._store.close()
        self._audit.close()

    @property
    def port(self) -> int:
        """The TCP port it listens on; 0 if it does not."""
        return self._servers[0].port if self._servers else 0

    @property
    def url(self) -> str:
        """Where clients on this machine reach it."""
        return f"https://{self._config.host}:{self.port}"

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request from a socket."""
        try:
            user = self._authenticator.identify(request)
        except errors.ApiError as error:
            return _refusal(error)
        return self.serve(request, user)

    def direct(self, user: User, *, user_agent: str = "nerv", field_manager: str = "nerv") -> Client:
        """A client in this process that acts as `user`."""
        transport = DirectTransport(self.serve, user)
        return Client(transport, user_agent=user_agent, field_manager=field_manager)

    def serve(self, request: Request, user: User) -> Answer | Awaitable[Answer]:
        """Answer an authenticated request. Reads are answered at once, writes when they are durable."""
        received = self._config.now()
        call = Call(request, user, requests.parse(request))
        try:
            call = Call(request, impersonation.become(self._authorizer, user, request), call.target)
            self._authorizer.check(call.user, call.target)
            if not call.target.is_resource:
                return self._endpoints.answer(call)
            answer = handlers.resource(self._context, call)
        except errors.ApiError as error:
            return self._audited(call, received, _refusal(error))
        if isinstance(answer, Awaitable):
            return self._finish(call, received, answer)
        return answer

    async def _finish(self, call: Call, received: datetime, pending: Awaitable[Answer]) -> Answer:
        try:
            answer = await pending
        except errors.ApiError as error:
            answer = _refusal(error)
        except NervError as error:
            answer = _refusal(errors.InternalError(f"Internal error occurred: {error.message}"))
        return self._audited(call, received, answer)

    def _audited(self, call: Call, received: datetime, answer: Answer) -> Answer:
        if self._audit.wants(call, answer.status):
            self._audit.record(call, answer.status, received)
        return answer

    async def _listen(self) -> None:
        config = self._config
        if config.serving is None:
            return
        context = tls.server_context(config.serving.certificate, config.serving.key, config.ca_pem)
        self._servers.append(
            await listen(self.handle, host=config.host, port=config.port, ssl=context, reuse_port=config.reuse_port)
        )
        if config.unix:
            self._servers.append(await listen(self.handle, unix=config.unix, ssl=context))

    async def _convert(self, served: Served, objects: Sequence[Object], api_version: str) -> list[Object]:
        return await converting.convert(self._context.webhooks, served, objects, api_version)

    def _follow(self, change: Change) -> None:
        custom.follow(self._context, change)
        if change.key == custom.KEY or self._context.registry.custom(change.key):
            self._definitions_changed.set()
        if change.key == CLUSTER_ROLES.qualified:
            self._roles_changed.set()

    async def _gather_roles(self) -> None:
        client = self.direct(ADMIN, field_manager="clusterrole-aggregation-controller")
        while True:
            await self._roles_changed.wait()
            self._roles_changed.clear()
            await aggregation.gather(self._store, client)

    async def _clean_definitions(self) -> None:
        while True:
            await self._definitions_changed.wait()
            self._definitions_changed.clear()
            for name in custom.terminating(self._context):
                await custom.empty(self._context, name)


def _refusal(error: errors.ApiError) -> Response:
    return Response(error.code, orjson.dumps(error.status))
