"""Server-side apply in stages: a whole stage is tried first, so one bad object keeps the stage from being applied."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from nerv.controllers.flux.kustomization import drift, managers
from nerv.errors import NervError
from nerv.kube import errors, inventory, objects
from nerv.kube.client import Client
from nerv.kube.inventory import Reference
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

_AT_ONCE = 8
_DELETION_TIMEOUT = 60.0


class ApplyError(NervError):
    """A stage could not be applied; `changes` is what was applied before."""

    def __init__(self, message: str, changes: Sequence[Change] = ()) -> None:
        super().__init__(message)
        self.changes = list(changes)


@dataclass(frozen=True)
class Change:
    """What became of one object: created, configured, unchanged, deleted or skipped."""

    reference: Reference
    action: str

    @property
    def changed(self) -> bool:
        return self.action in ("created", "configured", "deleted")

    @override
    def __str__(self) -> str:
        return f"{self.reference.subject} {self.action}"


@dataclass(frozen=True)
class Applier:
    """Applies through `client`, which speaks for whoever the Kustomization runs as. `wait` lets a stage settle."""

    client: Client
    wait: Callable[[Sequence[Reference]], Awaitable[None]]
    owner: Mapping[str, str]
    """Labels that every object of the Kustomization carries."""
    force: bool = False
    _limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def apply(self, manifests: Sequence[Object]) -> list[Change]:
        """Apply everything. Raises ApplyError."""
        done: list[Change] = []
        for number, stage in enumerate(inventory.stages(manifests)):
            try:
                changes = await self._stage(stage)
                done += changes
                if number < 2 and any(change.changed for change in changes):
                    await self.wait([change.reference for change in changes if change.action != "skipped"])
            except NervError as error:
                raise ApplyError(error.message, done) from None
        return done

    async def delete(self, references: Sequence[Reference]) -> list[Change]:
        """Delete what carries our owner labels and has no switch against it, in the given order.

        Raises ApplyError that names all that could not be deleted; its changes are those that were.
        """
        done: list[Change] = []
        failures = []
        for reference in references:
            try:
                done.append(await self._delete(reference))
            except errors.ApiError as error:
                failures.append(f"{reference.subject} delete failed: {error.message};")
        if failures:
            raise ApplyError(f"delete failed, errors: {''.join(failures)}", done)
        return done

    async def _stage(self, stage: Sequence[Object]) -> list[Change]:
        answers = await asyncio.gather(*(self._try(obj) for obj in stage), return_exceptions=True)
        plans = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            plans.append(answer)
        for resource, obj, change in plans:
            if change.changed:
                await self._apply(resource, obj, change)
        return [change for _, _, change in plans]

    async def _apply(self, resource: Resource | None, obj: Object, change: Change) -> None:
        assert resource is not None
        try:
            await self.client.apply(resource, obj, field_manager=managers.MANAGER)
        except errors.ApiError as error:
            raise ApplyError(f"{change.reference.subject} apply failed: {error.message}") from None

    async def _try(self, obj: Object) -> tuple[Resource | None, Object, Change]:
        """What an apply would do. Raises ApplyError."""
        async with self._limit:
            reference = Reference.of(obj)
            try:
                resource = await self.client.resource_for(reference.api_version, reference.kind)
                obj, reference = _placed(resource, obj, reference)
                live = await self._get(resource, reference)
                if self._skips(obj, live):
                    return None, obj, Change(reference, "skipped")
                wanted = await self._dry_run(resource, obj, live)
            except errors.ApiError as error:
                raise ApplyError(drift.failure(reference.subject, reference.namespace, error)) from None
            if live is None:
                return resource, obj, Change(reference, "created")
            patched = await self._clean_up(resource, obj, live, reference)
            changed = patched or drift.differs(live, wanted)
            return resource, obj, Change(reference, "configured" if changed else "unchanged")

    async def _get(self, resource: Resource, reference: Reference) -> Object | None:
        try:
            return await self.client.get(resource, reference.name, reference.namespace or None)
        except errors.NotFound:
            return None

    def _skips(self, obj: Object, live: Object | None) -> bool:
        for each in (obj, live):
            if drift.switched(each, "reconcile", "disabled") or drift.switched(each, "ssa", "Ignore"):
                return True
        return live is not None and drift.switched(obj, "ssa", "IfNotPresent")

    async def _dry_run(self, resource: Resource, obj: Object, live: Object | None) -> Object:
        try:
            return await self.client.apply(resource, obj, field_manager=managers.MANAGER, dry_run=True)
        except errors.ApiError as error:
            forced = self.force or any(drift.switched(each, "force", "enabled") for each in (obj, live))
            if live is None or not forced or not drift.is_immutable(error):
                raise
            await self._recreate(resource, live)
        return await self.client.apply(resource, obj, field_manager=managers.MANAGER, dry_run=True)

    async def _recreate(self, resource: Resource, live: Object) -> None:
        """Delete an object that cannot become what is wanted, and see it gone."""
        name, namespace = objects.name(live), objects.namespace(live) or None
        await self.client.delete(resource, name, namespace, uid=objects.uid(live))
        async with asyncio.timeout(_DELETION_TIMEOUT):
            delay = 0.01
            while await self._get(resource, Reference.of(live)) is not None:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 1.0)

    async def _clean_up(self, resource: Resource, obj: Object, live: Object, reference: Reference) -> bool:
        """Take over what other tools wrote before. Returns whether there was anything."""
        if any(drift.switched(each, "ssa", "Merge") for each in (obj, live)):
            return False
        patch = managers.cleanup(live)
        if not patch:
            return False
        try:
            await self.client.patch(
                resource,
                reference.name,
                reference.namespace or None,
                patch,
                type="json",
                field_manager=managers.MANAGER,
            )
        except errors.ApiError as error:
            raise ApplyError(f"{reference.subject} metadata.managedFields cleanup failed: {error.message}") from None
        return True

    async def _delete(self, reference: Reference) -> Change:
        try:
            resource = await self.client.resource_for(reference.api_version, reference.kind)
        except errors.NoMatch:
            # its definition is gone, and all objects with it
            return Change(reference, "deleted")
        live = await self._get(resource, reference)
        if live is None:
            return Change(reference, "deleted")
        owned = all(objects.labels(live).get(name) == value for name, value in self.owner.items())
        kept = any(
            drift.switched(live, switch, value)
            for switch, value in (("prune", "disabled"), ("reconcile", "disabled"), ("ssa", "Ignore"))
        )
        if not owned or kept:
            return Change(reference, "skipped")
        with contextlib.suppress(errors.NotFound):
            await self.client.delete(resource, reference.name, reference.namespace or None, uid=objects.uid(live))
        return Change(reference, "deleted")


def _placed(resource: Resource, obj: Object, reference: Reference) -> tuple[Object, Reference]:
    """A cluster-wide object has no namespace. Raises NotFound where a namespaced one has none."""
    if resource.namespaced and not reference.namespace:
        raise errors.NotFound("the server could not find the requested resource")
    if resource.namespaced or not reference.namespace:
        return obj, reference
    placed = {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "namespace"}}
    return placed, Reference.of(placed)
