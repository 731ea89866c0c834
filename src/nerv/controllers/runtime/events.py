"""Events as `kubectl describe` shows them: core/v1, written in the background, repeated ones counted.

A recorder never makes its caller wait and never fails it: an event that cannot be written (its namespace is going
away, the server is down) is dropped with a line in the debug log.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Mapping

from nerv.controllers.runtime.clock import Clock, SystemClock
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object, timestamp
from nerv.kube.resources import EVENTS

_log = logging.getLogger(__name__)

_REMEMBERED = 4096
_MESSAGE_LIMIT = 1024
_Series = tuple[str, str, str, str, str]


class EventRecorder:
    """Writes the events of one component (`source.component`)."""

    def __init__(self, client: Client, component: str, clock: Clock | None = None) -> None:
        self._client = client
        self._component = component
        self._clock = clock or SystemClock()
        self._written: OrderedDict[_Series, Object] = OrderedDict()
        self._pending: deque[tuple[_Series, Object]] = deque()
        self._task: asyncio.Task[None] | None = None

    def event(
        self, obj: Object, type: str, reason: str, message: str, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Record that `reason` happened to `obj`. `type` is Normal or Warning; messages are cut at 1024 characters."""
        message = message[:_MESSAGE_LIMIT]
        involved = _reference(obj)
        series = (involved["kind"], involved.get("uid") or involved["name"], type, reason, message)
        now = timestamp(self._clock.now())
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{involved['name']}.{secrets.token_hex(8)}",
                "namespace": involved.get("namespace") or "default",
            },
            "involvedObject": involved,
            "type": type,
            "reason": reason,
            "message": message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        if annotations:
            event["metadata"]["annotations"] = dict(annotations)
        self._pending.append((series, event))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name=f"events-{self._component}")

    async def flush(self) -> None:
        """Wait until everything recorded so far is written."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _drain(self) -> None:
        while self._pending:
            series, event = self._pending.popleft()
            try:
                await self._write(series, event)
            except (errors.ApiError, OSError, TimeoutError) as error:
                _log.debug("event %s of %s dropped: %s", event["reason"], event["involvedObject"]["name"], error)

    async def _write(self, series: _Series, event: Object) -> None:
        known = self._written.get(series)
        if known is not None:
            count = known["count"] + 1
            metadata = known["metadata"]
            changes = {"count": count, "lastTimestamp": event["lastTimestamp"]}
            try:
                await self._client.patch(EVENTS, metadata["name"], metadata["namespace"], changes)
            except errors.NotFound:
                # expired meanwhile: start a new series
                self._written.pop(series, None)
            else:
                known["count"] = count
                self._written.move_to_end(series)
                return
        await self._client.create(EVENTS, event, namespace=event["metadata"]["namespace"])
        self._written[series] = {"metadata": event["metadata"], "count": 1}
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)


def _reference(obj: Object) -> Object:
    """The ObjectReference of an object."""
    metadata = obj["metadata"]
    fields = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "name": metadata["name"],
        "namespace": metadata.get("namespace"),
        "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {name: value for name, value in fields.items() if value}
