"""Subresources that somebody else answers: kubelets (log, exec, attach, port-forward), pods and Services (proxy).

Requests travel through the cluster's network; connections that change their protocol are joined end to end. Kubelet
paths and parameter names: k8s.io/kubernetes/pkg/registry/core/pod/strategy.go.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from nerv import certificates
from nerv.apiserver import routing
from nerv.apiserver.requests import Call
from nerv.apiserver.store import Store
from nerv.http import exchange, tls
from nerv.http.exchange import Dial, Exchange, ExchangeError
from nerv.http.messages import Answer, Chunk, Request, Response, Stream, StreamWriter, Upgrade
from nerv.kube import errors
from nerv.kube.objects import Object

_KUBELET_PORT = 10250
_PIECE = 64 << 10
_HOP = frozenset(
    {"host", "authorization", "content-length", "transfer-encoding", "connection", "upgrade", "keep-alive", "te"}
)
"""Headers that belong to one connection, or to the way to this server."""
_STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_LOG_PARAMETERS = (
    "follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes",
)  # fmt: skip


@dataclass(frozen=True)
class _Way:
    """Where a request goes: an address, the host it is for, TLS or not, and the path there."""

    address: str
    port: int
    path: str
    context: ssl.SSLContext | None = None


class Proxy:
    """Dials with `dial`; shows `client` to kubelets, whose certificates must be of `ca_pem`."""

    def __init__(self, store: Store, dial: Dial | None, ca_pem: str, client: certificates.KeyPair | None) -> None:
        self._store = store
        self._dial = dial
        self._kubelets = tls.client_context(
            ca_pem, client.certificate if client else None, client.key if client else None
        )
        self._copies: set[asyncio.Task[None]] = set()
        self._trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE

    async def answer(self, call: Call) -> Answer:
        """Pass a request on. Raises errors.ApiError."""
        target = call.target
        if target.subresource == "proxy":
            return await self._pass(call.request, self._proxied(call), plain=False)
        is_log = target.subresource == "log"
        pod = self._pod(target.namespace, target.name)
        path = _kubelet_path(call, pod)
        node = pod["spec"].get("nodeName")
        if not node and is_log:
            return Response(204, b"")  # a pod that was nowhere yet has said nothing
        if not node:
            raise errors.BadRequest(f"pod {target.name} does not have a host assigned")
        return await self._pass(call.request, self._node(node, path), plain=is_log)

    def _pod(self, namespace: str, name: str) -> Object:
        entry = self._store.get("pods", namespace, name)
        if entry is None:
            raise errors.not_found("pods", "", name)
        return entry.load()

    def _node(self, name: str, path: str) -> _Way:
        entry = self._store.get("nodes", "", name)
        if entry is None:
            raise errors.not_found("nodes", "", name)
        status = entry.load().get("status") or {}
        address = next((item["address"] for item in status.get("addresses") or () if item["type"] == "InternalIP"), "")
        if not address:
            raise errors.ServiceUnavailable(f'node "{name}" has no InternalIP')
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or _KUBELET_PORT
        return _Way(address, port, path, self._kubelets)

    def _proxied(self, call: Call) -> _Way:
        """`[scheme:]name[:port]`, as the proxy subresource names its target."""
        target = call.target
        scheme, name, port = _split(target.name)
        path = quote(target.rest or "/")
        if call.request.query:
            path += f"?{call.request.query}"
        context = self._trusting if scheme == "https" else None
        if target.plural == "nodes":
            return self._node(name, path)
        if target.plural == "services":
            address, number = routing.resolve(self._store, target.namespace, name, _number(port))
            return _Way(address, number, path, context)
        address = (self._pod(target.namespace, name).get("status") or {}).get("podIP") or ""
        if not address:
            raise errors.ServiceUnavailable(f'pod "{name}" has no address yet')
        return _Way(address, int(port or (443 if context else 80)), path, context)

    def _start_copy(self, passed: Exchange, writer: StreamWriter) -> None:
        task = asyncio.ensure_future(_copy(passed, writer))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

        def stop() -> None:
            task.cancel()

        writer.on_close(stop)

    async def _pass(self, request: Request, way: _Way, *, plain: bool) -> Answer:
        if self._dial is None:
            raise errors.ServiceUnavailable("the API server has no way into the cluster's network")
        place = f"{way.address}:{way.port}"
        try:
            connection = await self._dial(way.address, way.port)
            if way.context is not None:
                connection = await exchange.secure(connection, way.context, way.address)
            passed = Exchange(connection)
            await passed.send(request.method, way.path, place, _headers(request), request.body)
            head = await passed.head()
        except (OSError, ExchangeError) as error:
            raise errors.ServiceUnavailable(f"error trying to reach service: dial tcp {place}: {error}") from None
        headers = {key: value for key, value in head.headers.items() if key not in _HOP and key != "content-type"}
        if head.status == 101:
            headers |= {"Connection": "Upgrade", "Upgrade": head.headers.get("upgrade", "")}
            return Upgrade(lambda reader, writer: _join(passed, reader, writer), 101, headers)
        kind = head.headers.get("content-type", "text/plain" if plain else "")
        if plain and head.status >= 400:
            text = (await passed.read(_PIECE)).decode("utf-8", "replace").strip()
            passed.close()
            raise errors.from_status({"code": head.status, "reason": _reason(head.status), "message": text})
        if "content-length" in head.headers and int(head.headers["content-length"]) <= _PIECE:
            body = await passed.read(_PIECE)
            passed.close()
            return Response(head.status, body, kind, headers)
        return Stream(lambda writer: self._start_copy(passed, writer), head.status, kind, headers)


def _headers(request: Request) -> dict[str, str]:
    headers = {key: value for key, value in request.headers.items() if key not in _HOP}
    if request.headers.get("upgrade"):
        headers |= {"Connection": "Upgrade", "Upgrade": request.headers["upgrade"]}
    else:
        headers["Connection"] = "close"
    return headers


async def _copy(passed: Exchange, writer: StreamWriter) -> None:
    """Body to the client, as fast as the client reads."""
    pieces: AsyncGenerator[bytes, None] = passed.body()
    try:
        async for piece in pieces:
            writer.write(Chunk(piece))
            await writer.drain()
        writer.close()
    except (OSError, ExchangeError):
        writer.abort()
    finally:
        passed.close()


async def _join(passed: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both directions until either end closes."""
    if passed.rest:
        writer.write(passed.rest)
    ways = [
        asyncio.ensure_future(_pump(reader, passed.writer)),
        asyncio.ensure_future(_pump(passed.reader, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        passed.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()


def _kubelet_path(call: Call, pod: Object) -> str:
    """Path and query that a kubelet is asked for. Raises errors.BadRequest for a container that the pod has not."""
    request = call.request
    if call.target.subresource == "portforward":
        verb, query = "portForward", [("ports", value) for value in request.params.get("ports", [])]
    elif call.target.subresource == "log":
        verb, query = "containerLogs", _log_query(request)
    else:
        verb, query = call.target.subresource, _stream_query(request)
    path = f"/{verb}/{call.target.namespace}/{call.target.name}"
    if verb != "portForward":
        path += f"/{_container(pod, request.param('container'))}"
    return f"{path}?{urlencode(query)}" if query else path


def _container(pod: Object, asked: str) -> str:
    """The container that is meant. Raises errors.BadRequest."""
    spec = pod["spec"]
    regular = [item["name"] for item in spec.get("containers") or ()]
    others = [item["name"] for field in ("initContainers", "ephemeralContainers") for item in spec.get(field) or ()]
    name = pod["metadata"]["name"]
    if asked:
        if asked not in (*regular, *others):
            raise errors.BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    if len(regular) == 1:
        return str(regular[0])
    preferred = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if preferred in regular:
        return str(preferred)
    raise errors.BadRequest(f"a container name must be specified for pod {name}, choose one of: [{' '.join(regular)}]")


def _log_query(request: Request) -> list[tuple[str, str]]:
    return [(name, request.param(name)) for name in _LOG_PARAMETERS if request.param(name)]


def _stream_query(request: Request) -> list[tuple[str, str]]:
    query = [("command", value) for value in request.params.get("command", [])]
    query += [(there, "1") for here, there in _STREAMS.items() if request.param(here) in ("true", "1")]
    return query


def _split(name: str) -> tuple[str, str, str]:
    parts = name.split(":")
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    return "", parts[0], parts[1] if len(parts) == 2 else ""


def _number(port: str) -> int | str:
    return int(port) if port.isdigit() else port


def _reason(status: int) -> str:
    reasons: Mapping[int, str] = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}
    return reasons.get(status, "InternalError")
