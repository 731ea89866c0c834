"""A controller: watched objects map to keys, keys are reconciled, the outcome decides when a key comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from typing_extensions import override

from nerv.controllers.runtime.clock import Clock, SystemClock
from nerv.controllers.runtime.informer import Informer
from nerv.controllers.runtime.outcome import Done, Outcome, Requeue, RetryAfter
from nerv.controllers.runtime.queue import WorkQueue
from nerv.kube import errors
from nerv.kube.objects import Object

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """What is reconciled: an object's namespace ("" for cluster-wide kinds) and name."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


Map = Callable[[Object | None, Object | None], Iterable[Key]]
Reconcile = Callable[[Key], Awaitable[Outcome]]


def key_of(obj: Object) -> Key:
    """The object's own key."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def own_key(old: Object | None, new: Object | None) -> Iterable[Key]:
    """The usual map of the kind a controller is for: every change of an object asks for that object."""
    obj = new if new is not None else old
    return (key_of(obj),) if obj is not None else ()


@dataclass(frozen=True)
class Watch:
    """Changes in `informer` that ask for the keys `map(old, new)`; None stands for "did not exist" or "is gone".

    `required=False`: the controller starts although the kind is not (yet) known to the server.
    """

    informer: Informer
    map: Map = own_key
    required: bool = True


class Controller:
    """Reconciles keys with `concurrency` workers, never one key twice at a time.

    `run` lasts until it is cancelled. An exception of `reconcile` is logged in one line (a conflict or a namespace that
    is going away in debug only) and the key comes back after its back-off, `first_delay` seconds doubled up to
    `last_delay`.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        watches: tuple[Watch, ...],
        *,
        concurrency: int = 4,
        clock: Clock | None = None,
        first_delay: float = 0.005,
        last_delay: float = 1000.0,
    ) -> None:
        self.name = name
        self.queue: WorkQueue[Key] = WorkQueue(clock or SystemClock(), first_delay=first_delay, last_delay=last_delay)
        self._reconcile = reconcile
        self._watches = watches
        self._concurrency = concurrency

    @property
    def busy(self) -> bool:
        """Whether a key waits or is worked on now; delayed keys do not count."""
        return self.queue.busy

    async def run(self) -> None:
        """Subscribe, wait until every required informer has listed, then work until cancelled."""
        unsubscribe = [watch.informer.on_change(self._enqueue_by(watch.map)) for watch in self._watches]
        workers: list[asyncio.Task[None]] = []
        try:
            for watch in self._watches:
                if watch.required:
                    await watch.informer.synced.wait()
            workers = [
                asyncio.create_task(self._work(), name=f"{self.name}-{number}") for number in range(self._concurrency)
            ]
            await asyncio.gather(*workers)
        finally:
            for stop in unsubscribe:
                stop()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self.queue.close()

    def _enqueue_by(self, map: Map) -> Callable[[Object | None, Object | None], None]:
        def enqueue(old: Object | None, new: Object | None) -> None:
            for key in map(old, new):
                self.queue.add(key)

        return enqueue

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                self._plan(key, await self._reconcile(key))
            except Exception as error:  # noqa: BLE001  a named boundary: one failing object must not end the controller
                self._failed(key, error)
            finally:
                self.queue.done(key)

    def _plan(self, key: Key, outcome: Outcome) -> None:
        match outcome:
            case Done():
                self.queue.forget(key)
            case RetryAfter(seconds):
                self.queue.forget(key)
                self.queue.add_after(key, seconds)
            case Requeue():
                self.queue.add_rate_limited(key)

    def _failed(self, key: Key, error: Exception) -> None:
        delay = self.queue.add_rate_limited(key)
        expected = isinstance(error, errors.Conflict) or _is_going_away(error)
        _log.log(
            logging.DEBUG if expected else logging.WARNING,
            "%s: [%s] %s: %s, next try in %.3g s",
            self.name,
            key,
            type(error).__name__,
            error,
            delay,
            exc_info=not isinstance(error, errors.ApiError) and _log.isEnabledFor(logging.DEBUG),
        )


def _is_going_away(error: Exception) -> bool:
    """Whether a write was refused because its namespace is being deleted: it ends by itself."""
    return isinstance(error, errors.Forbidden) and "being terminated" in str(error)
