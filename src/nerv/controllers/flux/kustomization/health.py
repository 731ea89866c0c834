"""Waiting until objects are healthy: woken by their changes, and given up when a new run is asked for.

Health is kstatus, or the expressions of `spec.healthCheckExprs` for the kinds that they name, tried in the order
inProgress, failed, current. A single failed object ends the wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nerv.controllers.runtime import Clock, Informer, Informers
from nerv.errors import NervError
from nerv.kube import cel, errors, kstatus
from nerv.kube.client import Client
from nerv.kube.inventory import Reference
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, Resource

_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status", "data", "type", "rules", "webhooks", "provisioner")
_ORDER = (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current"))


class Unhealthy(NervError):
    """Some objects failed, or did not become healthy in time."""


class Interrupted(NervError):
    """A new run was asked for while this one waited."""


class InvalidExpression(NervError):
    """A health check expression that is none."""


@dataclass(frozen=True)
class Verdict:
    """`status` is kstatus's word for it: Current, InProgress, Failed, Terminating, NotFound or Unknown."""

    status: str
    error: str = ""


@dataclass(frozen=True)
class Expressions:
    """The health check expressions of a Kustomization by apiVersion and kind."""

    by_kind: Mapping[tuple[str, str], Mapping[str, str]]
    now: Callable[[], datetime]

    @classmethod
    def of(cls, listed: Sequence[Mapping[str, str]], clock: Clock) -> Expressions:
        """From `spec.healthCheckExprs`. Raises InvalidExpression."""
        for number, each in enumerate(listed):
            for field in ("current", "failed", "inProgress"):
                if each.get(field):
                    _check(number, field, each[field])
        return cls({(each["apiVersion"], each["kind"]): each for each in listed}, clock.now)

    def judge(self, obj: Object) -> Verdict:
        """How an object is that exists."""
        expressions = self.by_kind.get((obj.get("apiVersion", ""), obj.get("kind", "")))
        if expressions is None:
            return Verdict(kstatus.compute(obj, self.now(), jobs_must_end=True).level.value)
        status = obj.get("status") or {}
        observed = status.get("observedGeneration") if isinstance(status, dict) else None
        if isinstance(observed, int) and observed != obj["metadata"].get("generation", observed):
            return Verdict("InProgress")
        return _evaluate(expressions, {name: obj.get(name, {}) for name in _FIELDS})


def _check(number: int, field: str, expression: str) -> None:
    try:
        cel.check(expression, _FIELDS)
    except cel.CelError as error:
        said = str(error).removeprefix("compilation failed: ")
        raise InvalidExpression(
            f"failed to create custom status evaluator for healthchecks[{number}]: failed to parse the expression "
            f"{field[0].upper()}{field[1:]}: failed to parse the CEL expression '{expression}': {said}"
        ) from None


def _evaluate(expressions: Mapping[str, str], fields: Mapping[str, Any]) -> Verdict:
    for name, status in _ORDER:
        expression = expressions.get(name)
        if not expression:
            continue
        try:
            if cel.evaluate(expression, fields) is True:
                return Verdict(status)
        except cel.CelError as error:
            return Verdict("Unknown", f"failed to evaluate the CEL expression '{expression}': {error}")
    return Verdict("InProgress")


@dataclass(frozen=True)
class _Watched:
    reference: Reference
    informer: Informer | None
    verdict: Verdict
    known: bool = True
    """Whether the server knows the kind; where it does not, `informer` is that of the definitions."""


@dataclass(frozen=True)
class Watch:
    """How objects are looked at: `client` for the first look, `informers` for what is not healthy yet."""

    client: Client
    informers: Informers
    clock: Clock
    expressions: Expressions

    async def wait(
        self, references: Sequence[Reference], timeout: float, interrupted: asyncio.Event | None = None
    ) -> None:
        """Return when all are healthy. `timeout` in seconds. Raises Unhealthy, Interrupted."""
        watched = [await self._look(reference) for reference in references]
        if _settled(watched):
            return _conclude(watched, timed_out=False)
        changed = asyncio.Event()
        late = asyncio.Event()

        def give_up() -> None:
            late.set()
            changed.set()

        timer = self.clock.call_later(timeout, give_up)
        subscriptions: dict[int, Callable[[], None]] = {}
        try:
            while not (late.is_set() or _settled(watched)):
                for each in watched:
                    if each.informer is not None and id(each.informer) not in subscriptions:
                        subscriptions[id(each.informer)] = each.informer.on_change(lambda *_: changed.set())
                await _either(changed, interrupted)
                changed.clear()
                watched = [await self._again(each) for each in watched]
        finally:
            timer.cancel()
            for unsubscribe in subscriptions.values():
                unsubscribe()
        return _conclude(watched, timed_out=not _settled(watched))

    async def _look(self, reference: Reference) -> _Watched:
        """The first look; objects that cannot change their health are not watched afterwards."""
        try:
            resource = await self.client.resource_for(reference.api_version, reference.kind)
        except errors.NoMatch:
            return _Watched(reference, self.informers.of(CUSTOM_RESOURCE_DEFINITIONS), Verdict("NotFound"), known=False)
        verdict, obj = await self._now(resource, reference)
        if verdict.status == "Current" and obj is not None and "status" not in obj:
            return _Watched(reference, None, verdict)
        return _Watched(reference, self.informers.of(resource), verdict)

    async def _now(self, resource: Resource, reference: Reference) -> tuple[Verdict, Object | None]:
        try:
            obj = await self.client.get(resource, reference.name, reference.namespace or None)
        except errors.NotFound:
            return Verdict("NotFound"), None
        except errors.ApiError as error:
            return Verdict("Unknown", error.message), None
        return self.expressions.judge(obj), obj

    async def _again(self, watched: _Watched) -> _Watched:
        informer = watched.informer
        if not watched.known:
            return await self._look(watched.reference)
        if informer is None or not informer.synced.is_set():
            return watched
        obj = informer.get(watched.reference.namespace, watched.reference.name)
        return replace(watched, verdict=self.expressions.judge(obj) if obj is not None else Verdict("NotFound"))


async def _either(changed: asyncio.Event, interrupted: asyncio.Event | None) -> None:
    """Wait for a change. Raises Interrupted."""
    if interrupted is None:
        await changed.wait()
        return
    tasks = [asyncio.create_task(event.wait()) for event in (changed, interrupted)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    if interrupted.is_set():
        raise Interrupted("New reconciliation triggered")


def _settled(watched: Sequence[_Watched]) -> bool:
    statuses = {each.verdict.status for each in watched}
    return statuses <= {"Current"} or "Failed" in statuses


def _conclude(watched: Sequence[_Watched], *, timed_out: bool) -> None:
    bad = [
        each for each in watched if each.verdict.status == "Failed" or (timed_out and each.verdict.status != "Current")
    ]
    if not bad:
        return
    listed = ", ".join(
        f"{each.reference.subject} status: '{each.verdict.status}'"
        + (f": {each.verdict.error}" if each.verdict.error else "")
        for each in bad
    )
    raise Unhealthy(f"{'timeout waiting for' if timed_out else 'failed early due to stalled resources'}: [{listed}]")
