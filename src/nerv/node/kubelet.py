"""The kubelet API of one node: HTTPS on a unix socket, which the network gives the node's address and port 10250.

Who may ask: clients with a certificate of the cluster's authority in the group system:masters, which is how the API
server comes. Paths and parameters: the kubelet's server.go, version 1.31.
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

from nerv.certificates import KeyPair
from nerv.http import server, tls
from nerv.http.messages import Answer, Chunk, Request, Response, Stream, StreamWriter, Upgrade
from nerv.kube import errors
from nerv.kube.objects import parse_time
from nerv.node import channels, forwarding, logs, programs, sessions, usage, websocket
from nerv.node.containers import Container
from nerv.node.context import NodeContext
from nerv.node.logs import LogOptions
from nerv.node.registration import KUBELET_PORT
from nerv.node.runs import CoroutineRun, ProcessRun
from nerv.node.worker import PodWorker

_ADMINISTRATORS = "system:masters"
_TRUE = ("1", "true")
_MOST_BUFFERED = 1 << 20
_PROTOCOL_HEADER = "x-stream-protocol-version"


class KubeletApi:
    """`start` makes it reachable, `stop` takes it away."""

    def __init__(self, context: NodeContext, serving: KeyPair, client_ca_pem: str) -> None:
        self._context = context
        self._tls = tls.server_context(serving.certificate, serving.key, client_ca_pem)
        self._workers: Callable[[], Iterable[PodWorker]] = tuple
        self._socket = context.config.run_folder / f"kubelet-{context.config.name}.sock"
        self._server: server.Server | None = None
        self._meter = usage.Meter()
        self._started = context.timestamp()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, workers: Callable[[], Iterable[PodWorker]]) -> None:
        """Listen, for the pods that `workers` gives. Raises OSError, NervError."""
        self._workers = workers
        self._server = await server.listen(self.handle, unix=self._socket, ssl=self._tls)
        await self._context.registry.register(self._context.config.address, KUBELET_PORT, self._socket)

    async def stop(self) -> None:
        """Close everything that is open."""
        if self._server:
            await self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.unlink(missing_ok=True)

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        if request.path in ("/healthz", "/readyz", "/livez"):
            return Response(200, b"ok", "text/plain; charset=utf-8")
        if request.peer is None:
            return Response(401, b"Unauthorized", "text/plain; charset=utf-8")
        if _ADMINISTRATORS not in request.peer.organizations:
            return Response(403, f"Forbidden (user={request.peer.common_name})".encode(), "text/plain; charset=utf-8")
        try:
            return self._route(request)
        except errors.ApiError as error:
            return Response(error.code, json.dumps(error.status).encode())

    def _route(self, request: Request) -> Answer:
        parts = request.path.strip("/").split("/")
        match parts:
            case ["stats", "summary"]:
                now = self._context.timestamp()
                found = self._meter.summary(self._context.config.name, self._started, self._workers(), now)
                return Response(200, json.dumps(found).encode())
            case ["metrics", "resource"]:
                return Response(200, usage.metrics(self._workers()).encode(), "text/plain; version=0.0.4")
            case ["pods"]:
                listed = {"kind": "PodList", "apiVersion": "v1", "metadata": {}}
                items = [worker.pod for worker in self._workers()]
                return Response(200, json.dumps({**listed, "items": items}).encode())
            case ["containerLogs", namespace, pod, container]:
                return self._logs(request, self._container(namespace, pod, container))
            case ["exec" | "attach" as kind, namespace, pod, *_, container]:
                return self._session(request, kind, self._container(namespace, pod, container))
            case ["portForward", namespace, pod, *_]:
                return self._forward(request, self._worker(namespace, pod))
        raise errors.NotFound("404 page not found")

    def _worker(self, namespace: str, name: str) -> PodWorker:
        for worker in self._workers():
            metadata = worker.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return worker
        raise errors.NotFound(f'pod "{name}_{namespace}" does not exist on this node')

    def _container(self, namespace: str, pod: str, name: str) -> Container:
        found = self._worker(namespace, pod).find(name)
        if found is None:
            raise errors.BadRequest(f"container {name} is not valid for pod {pod}")
        return found

    def _logs(self, request: Request, container: Container) -> Answer:
        options = _log_options(request)
        previous = request.param("previous") in _TRUE
        if container.runtime == programs.SIMULATED or not container.keeps_log:
            return Response(200, _silence(container).encode(), "text/plain; charset=utf-8")
        path = container.log_path(container.state.restarts - 1 if previous else container.state.restarts)
        name, pod = container.name, container.sandbox.pod["metadata"]["name"]
        if not path.exists():
            if previous:
                raise errors.BadRequest(f'previous terminated container "{name}" in pod "{pod}" not found')
            reason = container.state.detail.get("reason", "ContainerCreating")
            raise errors.BadRequest(f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
        run = container.run
        live = run.log if isinstance(run, (ProcessRun, CoroutineRun)) and not previous else None
        lines = logs.read(path, lambda: live, options)
        return Stream(lambda writer: self._spawn(_send(lines, writer)), content_type="text/plain; charset=utf-8")

    def _session(self, request: Request, kind: str, container: Container) -> Answer:
        run = container.run
        if not isinstance(run, ProcessRun):
            raise errors.BadRequest(_no_program(container))
        stdin = request.param("input") in _TRUE or request.param("stdin") in _TRUE
        tty = request.param("tty") in _TRUE
        command = tuple(request.params.get("command", []))

        async def session(joined: channels.Channels) -> None:
            if kind == "exec":
                await sessions.execute(run, command, joined, stdin=stdin, tty=tty)
            else:
                await sessions.attach(run, joined, stdin=stdin, once=bool(container.spec.get("stdinOnce")), tty=tty)

        if _is_websocket(request):
            protocol = _choose(request.headers.get("sec-websocket-protocol", ""), channels.WEBSOCKET_PROTOCOLS)
            return Upgrade(
                lambda reader, writer: channels.serve_websocket(reader, writer, session),
                headers=_websocket_headers(request, protocol),
            )
        protocol = _choose(request.headers.get(_PROTOCOL_HEADER, ""), channels.SPDY_PROTOCOLS)
        if not _is_spdy(request) or not protocol:
            raise errors.BadRequest("you must upgrade to WebSocket or SPDY/3.1")
        names = _stream_names(request, stdin=stdin, tty=tty)
        return Upgrade(
            lambda reader, writer: channels.serve_spdy(reader, writer, names, session), headers=_spdy_headers(protocol)
        )

    def _forward(self, request: Request, worker: PodWorker) -> Answer:
        network, address = self._context.network, worker.sandbox.address
        if not _is_websocket(request):
            protocol = _choose(request.headers.get(_PROTOCOL_HEADER, ""), (forwarding.SPDY_PROTOCOL,))
            if not _is_spdy(request) or not protocol:
                raise errors.BadRequest("you must upgrade to WebSocket or SPDY/3.1")
            return Upgrade(
                lambda reader, writer: forwarding.serve_spdy(reader, writer, network, address),
                headers=_spdy_headers(protocol),
            )
        offered = request.headers.get("sec-websocket-protocol", "")
        protocol = _choose(offered, (forwarding.TUNNEL_PROTOCOL, forwarding.CHANNEL_PROTOCOL))
        headers = _websocket_headers(request, protocol)
        if protocol == forwarding.TUNNEL_PROTOCOL:
            return Upgrade(
                lambda reader, writer: forwarding.serve_tunnel(reader, writer, network, address), headers=headers
            )
        texts = [*request.params.get("port", []), *request.params.get("ports", [])]
        ports = [int(port) for text in texts for port in text.split(",") if port.isdecimal()]
        return Upgrade(
            lambda reader, writer: forwarding.serve_channels(reader, writer, network, address, ports), headers=headers
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _send(lines: AsyncGenerator[bytes, None], writer: StreamWriter) -> None:
    """Send log lines until there are no more or the reader goes away."""
    closed = asyncio.Event()
    writer.on_close(closed.set)
    sending = asyncio.create_task(_copy(lines, writer))
    waiting = asyncio.create_task(closed.wait())
    try:
        await asyncio.wait([sending, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, waiting):
            task.cancel()
        await asyncio.gather(sending, waiting, return_exceptions=True)
        await lines.aclose()
        writer.close()


async def _copy(lines: AsyncGenerator[bytes, None], writer: StreamWriter) -> None:
    async for line in lines:
        writer.write(Chunk(line))
        while writer.buffered > _MOST_BUFFERED and not writer.closed:  # noqa: ASYNC110  it has no event to wait for
            await asyncio.sleep(0.01)


def _log_options(request: Request) -> LogOptions:
    """Raises errors.BadRequest."""
    try:
        seconds, moment = request.param("sinceSeconds"), request.param("sinceTime")
        tail, limit = request.param("tailLines"), request.param("limitBytes")
        since = parse_time(moment) if moment else None
        if seconds:
            since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=int(seconds))
        return LogOptions(
            follow=request.param("follow") in _TRUE,
            timestamps=request.param("timestamps") in _TRUE,
            since=since,
            tail=int(tail) if tail else None,
            limit=int(limit) if limit else None,
        )
    except ValueError as error:
        raise errors.BadRequest(f"unable to decode query: {error}") from None


def _silence(container: Container) -> str:
    """The log of a container that has none. Nothing simulated pretends."""
    if container.runtime == programs.SIMULATED:
        return (
            f"{container.name} is simulated on this machine ({programs.RUNTIME_ANNOTATION}: {programs.SIMULATED}): "
            f"no program of the image {container.spec['image']} runs, so there is no log.\n"
        )
    return (
        f"{container.name} is embedded ({programs.RUNTIME_ANNOTATION}: {programs.EMBEDDED}): NERV itself does its "
        "work. What it does stands in the events and the status of its objects, and in NERV's own log.\n"
    )


def _no_program(container: Container) -> str:
    pod = container.sandbox.pod["metadata"]["name"]
    if container.runtime == programs.PROCESS:
        return f'container "{container.name}" in pod "{pod}" is not running'
    return f'container "{container.name}" in pod "{pod}" is {container.runtime} by NERV: no program runs in it'


def _is_websocket(request: Request) -> bool:
    return request.headers.get("upgrade", "").lower() == "websocket"


def _is_spdy(request: Request) -> bool:
    return request.headers.get("upgrade", "").lower() == "spdy/3.1"


def _choose(offered: str, known: tuple[str, ...]) -> str:
    """The best protocol that both sides know, "" for none."""
    names = {name.strip() for name in offered.split(",")}
    return next((protocol for protocol in known if protocol in names), "")


def _websocket_headers(request: Request, protocol: str) -> dict[str, str]:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": websocket.accept_key(request.headers.get("sec-websocket-key", "")),
    }
    return headers | ({"Sec-WebSocket-Protocol": protocol} if protocol else {})


def _spdy_headers(protocol: str) -> dict[str, str]:
    return {"Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": protocol}


def _stream_names(request: Request, *, stdin: bool, tty: bool) -> frozenset[str]:
    names = {"error"}
    if stdin:
        names.add("stdin")
    if request.param("output") in _TRUE or request.param("stdout") in _TRUE:
        names.add("stdout")
    if not tty and (request.param("error") in _TRUE or request.param("stderr") in _TRUE):
        names.add("stderr")
    return frozenset(names | ({"resize"} if tty else set()))
