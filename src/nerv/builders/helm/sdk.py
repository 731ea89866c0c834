"""Helm's SDK: started when first needed as a process of its own (`builders.helm_worker`), ended when nothing was asked
of it for a while.

In this process the library would hold 60 MB for ever, and a panic of its Go code would end everything. A start costs
0.15 s, a question less than a millisecond more than in process. All functions block and may be called from any thread:
`call` runs them outside the event loop. Questions are pure, so one that died with its worker is asked once more.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import msgspec
import orjson

from nerv import process
from nerv.builders.helm_worker import LENGTH_BYTES
from nerv.errors import NervError

T = TypeVar("T")

_COMMAND = (sys.executable, "-P", "-m", "nerv.builders.helm_worker")
_IDLE_SECONDS = 15.0


class HelmError(NervError):
    """What Helm refused, in Helm's words: a template that fails, values against their schema, a broken chart."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="helm")


async def call(work: Callable[[], T]) -> T:
    """Run `work` in one of Helm's threads."""
    return await asyncio.get_running_loop().run_in_executor(_pool(), work)


class Worker:
    """The process that holds the library; one question at a time. `idle_seconds`: how long it outlives the last."""

    def __init__(self, command: Sequence[str] = _COMMAND, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._command = command
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._child: process.Dialogue | None = None
        self._timer: threading.Timer | None = None

    @property
    def pid(self) -> int | None:
        """The running worker's process, or None while there is none."""
        return self._child.pid if self._child else None

    def ask(self, function: str, *arguments: Any) -> Any:
        """The answer of one of the worker's functions. Raises HelmError."""
        request = msgspec.msgpack.encode((function, arguments))
        with self._lock:
            fine, value = msgspec.msgpack.decode(self._answered(request))
            self._end_later()
        if not fine:
            raise HelmError(value)
        return value

    def end(self) -> None:
        """End the process, after the question that it is at."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            self._drop()

    def _answered(self, request: bytes) -> bytes:
        answer = self._exchange(request) or self._exchange(request)
        if not answer:
            raise HelmError("Helm's library ended while it was at this chart")
        return answer

    def _exchange(self, request: bytes) -> bytes:
        """Ask the worker, started if need be. Empty: it died, and is gone."""
        child = self._child = self._child or process.converse(self._command)
        if child.write(len(request).to_bytes(LENGTH_BYTES, "big") + request):
            length = child.read(LENGTH_BYTES)
            answer = child.read(int.from_bytes(length, "big")) if length else b""
            if answer:
                return answer
        self._drop()
        return b""

    def _end_later(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_seconds, self.end)
        self._timer.daemon = True
        self._timer.start()

    def _drop(self) -> None:
        if self._child:
            self._child.close()
            self._child = None


@cache
def _worker() -> Worker:
    worker = Worker()
    atexit.register(worker.end)
    return worker


def install_dry_run(
    archive: bytes, name: str, values: Mapping[str, Any], options: Mapping[str, Any], kubeconfig: str = ""
) -> dict[str, Any]:
    """What an installation would store: `manifest` and `notes`. Blocks; nothing is created anywhere.

    With a kubeconfig the cluster answers `lookup`. Raises HelmError.
    """
    given, chosen = orjson.dumps(values).decode(), orjson.dumps(options).decode()
    answer = _worker().ask("install", archive, name, str(options["namespace"]), given, chosen, kubeconfig)
    summary: dict[str, Any] = orjson.loads(answer)
    return summary


def parse_yaml(texts: Sequence[str]) -> list[dict[str, Any]]:
    """YAML documents as Helm reads them. Blocks. Raises HelmError."""
    return [orjson.loads(answer) for answer in _worker().ask("read_yaml", list(texts))] if texts else []


def parse_set(expression: str, *, as_string: bool) -> dict[str, Any]:
    """Values of a `--set` (or `--set-string`) expression. Blocks. Raises HelmError."""
    value: dict[str, Any] = orjson.loads(_worker().ask("read_set", expression, as_string))
    return value


def history(kubeconfig: str, namespace: str, name: str) -> list[dict[str, Any]]:
    """The revisions of a release as Helm itself reads them from a cluster, oldest first. Blocks. Raises HelmError."""
    return _read(kubeconfig, namespace, "helm_history", [name, None])


def releases(kubeconfig: str, namespace: str) -> list[dict[str, Any]]:
    """All releases of a namespace as `helm list --all` finds them. Blocks. Raises HelmError."""
    return _read(kubeconfig, namespace, "helm_list", ['{"all":true}'])


def _read(kubeconfig: str, namespace: str, function: str, arguments: list[str | None]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = orjson.loads(
        _worker().ask("ask_cluster", function, kubeconfig, namespace, arguments)
    )
    return answer
