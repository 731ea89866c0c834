"""The audit log: one line of JSON for each request that changes something, opens a stream into a pod, or is refused.

Level Metadata: who, what, when and the outcome, never a body. Leases and events are left out: they are the cluster's
own pulse. The file is readable by its owner alone; when it is full it is kept once more under `.1`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import orjson

from nerv.apiserver.requests import Call
from nerv.kube.objects import Object, micro_timestamp

_LARGEST = 64 << 20
_READS = frozenset({"get", "list", "watch", "head"})
_STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})
_QUIET = frozenset({"leases", "events"})


class AuditLog:
    """Appends to a file; does nothing without one."""

    def __init__(self, path: Path | None, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._descriptor = -1
        self._size = 0
        if path is not None:
            self._open()

    def wants(self, call: Call, status: int) -> bool:
        """Whether a request belongs in the log."""
        if self._path is None:
            return False
        target = call.target
        if status in (401, 403) or target.subresource in _STREAMS:
            return True
        return target.verb not in _READS and target.plural not in _QUIET

    def record(self, call: Call, status: int, received: datetime) -> None:
        """Write one line."""
        target, user = call.target, call.user
        event: Object = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": str(uuid.uuid4()),
            "stage": "ResponseComplete",
            "requestURI": call.request.raw_path or call.request.path,
            "verb": target.verb,
            "user": {"username": user.name, "groups": list(user.groups)},
            "userAgent": call.request.headers.get("user-agent", ""),
            "responseStatus": {"metadata": {}, "code": status},
            "requestReceivedTimestamp": micro_timestamp(received),
            "stageTimestamp": micro_timestamp(self._now()),
        }
        if target.plural:
            reference = {
                "resource": target.plural,
                "namespace": target.namespace,
                "name": target.name,
                "apiGroup": target.group,
                "apiVersion": target.version,
                "subresource": target.subresource,
            }
            event["objectRef"] = {key: value for key, value in reference.items() if value}
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        if self._size + len(line) > _LARGEST:
            self._turn()
        os.write(self._descriptor, line)
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        assert self._path
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _turn(self) -> None:
        assert self._path
        self.close()
        self._path.rename(self._path.with_suffix(self._path.suffix + ".1"))
        self._open()
