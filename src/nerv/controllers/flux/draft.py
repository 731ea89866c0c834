"""An object's status while it is worked on: changed freely, written as one patch of what differs.

The rules of conditions are those of Flux's runtime: those that matter to people stand first (Stalled, Reconciling,
Ready), negative ones (Reconciling, Stalled, FetchFailed, ...) are present only while True.
"""

from __future__ import annotations

from typing import Any

from nerv.controllers.flux.api import FINALIZER, READY, RECONCILING, REQUESTED_AT, STALLED
from nerv.controllers.runtime import Clock, Writer
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

_FIRST = {STALLED: 0, RECONCILING: 1, READY: 2}


class Draft:
    """`obj` is what the API has; `status` is ours to change."""

    def __init__(self, resource: Resource, obj: Object, writer: Writer, clock: Clock) -> None:
        self.resource = resource
        self.obj = obj
        self.clock = clock
        self.status: dict[str, Any] = objects.clone(obj.get("status") or {})
        self._writer = writer

    @property
    def spec(self) -> dict[str, Any]:
        """The object's spec; never changed here."""
        found: dict[str, Any] = self.obj.get("spec") or {}
        return found

    @property
    def namespace(self) -> str:
        return objects.namespace(self.obj)

    @property
    def name(self) -> str:
        return objects.name(self.obj)

    @property
    def generation(self) -> int:
        return objects.generation(self.obj)

    @property
    def conditions(self) -> list[Object]:
        """The conditions as they are now."""
        return self.status.get("conditions") or []

    def condition(self, type: str) -> Object | None:
        """The condition of that type, if there is one."""
        return next((item for item in self.conditions if item["type"] == type), None)

    def is_true(self, type: str) -> bool:
        """Whether the condition of that type is there and True."""
        found = self.condition(type)
        return found is not None and found["status"] == "True"

    def mark(self, type: str, status: str, reason: str, message: str) -> None:
        """Set a condition; its transition time moves only with its status."""
        conditions = objects.set_condition(
            self.conditions, type, status, reason, message, self.generation, self.clock.now()
        )
        self.status["conditions"] = sorted(conditions, key=lambda item: (_FIRST.get(item["type"], 3), item["type"]))

    def drop(self, *types: str) -> None:
        """Remove conditions."""
        if self.conditions:
            self.status["conditions"] = [item for item in self.conditions if item["type"] not in types]

    def reconciling(self, reason: str, message: str) -> None:
        """Say what is being done; an object that is worked on is not stalled."""
        self.drop(STALLED)
        self.mark(RECONCILING, "True", reason, message)

    def stalled(self, reason: str, message: str) -> None:
        """Say that only a change of the object can help."""
        self.drop(RECONCILING)
        self.mark(STALLED, "True", reason, message)

    def observed(self) -> None:
        """This generation was worked on to its end."""
        self.status["observedGeneration"] = self.generation

    def handled(self) -> None:
        """Answer a request for reconciliation by its token."""
        token = objects.annotations(self.obj).get(REQUESTED_AT)
        if token:
            self.status["lastHandledReconcileAt"] = token

    @property
    def requested(self) -> bool:
        """Whether a reconciliation was asked for that is not answered yet."""
        token = objects.annotations(self.obj).get(REQUESTED_AT, "")
        handled: str = (self.obj.get("status") or {}).get("lastHandledReconcileAt", "")
        return token != handled

    async def save(self) -> None:
        """Write what differs, if anything does. Raises the client's errors."""
        patch = difference(self.obj.get("status") or {}, self.status)
        if patch:
            self.obj = await self._writer.patch(self.resource, self.obj, {"status": patch}, subresource="status")
            self.status = objects.clone(self.obj.get("status") or {})

    async def add_finalizer(self) -> bool:
        """Make deletion wait for us. Returns whether it was missing."""
        present = list(objects.finalizers(self.obj))
        if FINALIZER in present:
            return False
        await self._finalizers([*present, FINALIZER])
        return True

    async def remove_finalizer(self) -> None:
        """Let the object go."""
        await self._finalizers([each for each in objects.finalizers(self.obj) if each != FINALIZER])

    async def _finalizers(self, finalizers: list[str]) -> None:
        metadata = {"finalizers": finalizers, "resourceVersion": objects.resource_version(self.obj)}
        self.obj = await self._writer.patch(self.resource, self.obj, {"metadata": metadata})


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch that makes `old` into `new`. Pure."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = difference(before, value)
            if inner:
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch


def asked(old: Object | None, new: Object | None) -> bool:
    """Whether a change asks for work: a new or changed object, a deletion, a request; not our own status."""
    if new is None:
        return False
    if old is None:
        return True
    return (
        objects.generation(old) != objects.generation(new)
        or objects.deleting(old) != objects.deleting(new)
        or objects.annotations(old).get(REQUESTED_AT) != objects.annotations(new).get(REQUESTED_AT)
        or objects.finalizers(old) != objects.finalizers(new)
    )
