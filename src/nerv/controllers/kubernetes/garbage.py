"""The garbage collector: objects whose owners are all gone are deleted; foreground and orphan deletion are carried out.

Behaviour of k8s.io/kubernetes/pkg/controller/garbagecollector 1.31. The keys are uids, because an owner reference names
any kind; the namespace of a key is empty.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.inventory import Inventory
from nerv.controllers.kubernetes.podcontrol import first_failure
from nerv.controllers.runtime import Controller, Done, EventRecorder, Key, Outcome, Requeue
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_REMEMBERED = 1000


def garbage_collector(context: Context, inventory: Inventory) -> Controller:
    """The collector over everything in `inventory`."""
    collector = _Collector(context, inventory, context.recorder("garbage-collector-controller"))
    controller = Controller("garbage-collector", collector.reconcile, (), concurrency=16, clock=context.clock)

    def changed(resource: Resource, old: Object | None, new: Object | None) -> None:
        for uid in collector.changed(resource, old, new):
            controller.queue.add(Key("", uid))

    inventory.on_change(changed)
    return controller


@dataclass(frozen=True)
class _Collector:
    context: Context
    inventory: Inventory
    recorder: EventRecorder
    dependents: dict[str, set[str]] = field(default_factory=dict)
    """The uids of what names a uid as its owner."""
    absent: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Uids that were looked for on the server and are gone: they never come back."""

    def changed(self, resource: Resource, old: Object | None, new: Object | None) -> set[str]:
        """Keep the graph. Returns the uids to look at."""
        obj = new if new is not None else old
        if obj is None:
            return set()
        uid = objects.uid(obj)
        before, after = _owners(old), _owners(new)
        for owner in before - after:
            self.dependents.get(owner, set()).discard(uid)
            if not self.dependents.get(owner):
                self.dependents.pop(owner, None)
        for owner in after - before:
            self.dependents.setdefault(owner, set()).add(uid)
        if new is None:
            # dependents lose an owner, foreground owners lose what they wait for
            return set(self.dependents.get(uid, ())) | before
        look = {uid} if after and (old is None or before != after) else set()
        look |= before - after
        if objects.deleting(new) and (old is None or not objects.deleting(old) or _finalizers(old) != _finalizers(new)):
            look |= {uid} | (self.dependents.get(uid, set()) if FOREGROUND in _finalizers(new) else set())
        return look

    async def reconcile(self, key: Key) -> Outcome:
        """Look at one object: is it to wait for its dependents, to orphan them, or is it garbage?"""
        found = self.inventory.find(key.name)
        if found is None:
            return Done()
        resource, obj = found
        if objects.deleting(obj):
            if FOREGROUND in _finalizers(obj):
                await self._delete_dependents(resource, obj)
            elif ORPHAN in _finalizers(obj):
                await self._orphan_dependents(resource, obj)
            return Done()
        references = obj["metadata"].get("ownerReferences") or []
        return await self._collect(resource, obj, references) if references else Done()

    async def _collect(self, resource: Resource, obj: Object, references: list[Object]) -> Outcome:
        solid: list[Object] = []
        lost: list[Object] = []
        waiting: list[Object] = []
        for reference in references:
            owner = await self._owner(resource, obj, reference)
            if owner is None:
                return Requeue()
            if not owner:
                lost.append(reference)
            elif objects.deleting(owner) and FOREGROUND in _finalizers(owner):
                waiting.append(reference)
            else:
                solid.append(reference)
        if solid:
            if lost or waiting:
                await self._write(resource, obj, {"ownerReferences": solid})
            return Done()
        if waiting and self.dependents.get(objects.uid(obj)):
            await self._delete(resource, obj, "Foreground")
            return Done()
        kept = _finalizers(obj)
        await self._delete(
            resource, obj, "Orphan" if ORPHAN in kept else "Foreground" if FOREGROUND in kept else "Background"
        )
        return Done()

    async def _owner(self, resource: Resource, obj: Object, reference: Object) -> Object | None:
        """The owner's metadata, an empty dictionary if it is gone for sure, None if nobody can say (its kind is not
        known to the server)."""
        uid = reference["uid"]
        namespace = objects.namespace(obj)
        if uid in self.absent:
            return {}
        known = self.inventory.find(uid)
        if known is not None:
            owner_resource, owner = known
            if owner_resource.namespaced and objects.namespace(owner) != namespace:
                return self._misplaced(obj, reference)
            return owner
        try:
            owner_resource = self.inventory.resource(
                reference["apiVersion"], reference["kind"]
            ) or await self.context.client.resource_for(reference["apiVersion"], reference["kind"])
        except errors.NoMatch:
            return None
        if owner_resource.namespaced and not resource.namespaced:
            return self._misplaced(obj, reference)
        try:
            live = await self.context.client.get(owner_resource, reference["name"], namespace or None)
        except errors.NotFound:
            live = {}
        if objects.uid(live) == uid:
            return live
        self.absent[uid] = None
        if len(self.absent) > _REMEMBERED:
            self.absent.popitem(last=False)
        return {}

    def _misplaced(self, obj: Object, reference: Object) -> Object | None:
        """An owner in another namespace is none; a cluster-wide object with a namespaced owner is left alone."""
        namespace = objects.namespace(obj)
        text = (
            f"ownerRef [{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}, "
            f'name: {reference["name"]}, uid: {reference["uid"]}] does not exist in namespace "{namespace}"'
        )
        self.recorder.event(obj, "Warning", "OwnerRefInvalidNamespace", text)
        return {} if namespace else None

    async def _delete_dependents(self, resource: Resource, owner: Object) -> None:
        """Foreground: what blocks the owner's deletion goes first; the finalizer goes when none is left."""
        uid = objects.uid(owner)
        blocking = [
            found
            for each in self.dependents.get(uid, ())
            if (found := self.inventory.find(each)) is not None and _blocks(found[1], uid)
        ]
        if not blocking:
            await self._drop_finalizer(resource, owner, FOREGROUND)
            return
        going = [(kind, obj) for kind, obj in blocking if not objects.deleting(obj)]
        outcomes = [self._collect(kind, obj, obj["metadata"]["ownerReferences"]) for kind, obj in going]
        failure = first_failure(await asyncio.gather(*outcomes, return_exceptions=True))
        if failure is not None:
            raise failure

    async def _orphan_dependents(self, resource: Resource, owner: Object) -> None:
        uid = objects.uid(owner)
        for each in [*self.dependents.get(uid, ())]:
            found = self.inventory.find(each)
            if found is not None:
                kind, obj = found
                left = [ref for ref in obj["metadata"].get("ownerReferences") or [] if ref["uid"] != uid]
                await self._write(kind, obj, {"ownerReferences": left or None})
        await self._drop_finalizer(resource, owner, ORPHAN)

    async def _drop_finalizer(self, resource: Resource, obj: Object, finalizer: str) -> None:
        left = [each for each in _finalizers(obj) if each != finalizer]
        await self._write(resource, obj, {"finalizers": left or None})

    async def _write(self, resource: Resource, obj: Object, changes: Object) -> None:
        """Patch metadata of this very version of the object; one that is gone is no error."""
        pinned = {"uid": objects.uid(obj), "resourceVersion": objects.resource_version(obj)}
        try:
            await self.context.client.patch(
                resource, objects.name(obj), objects.namespace(obj) or None, {"metadata": {**pinned, **changes}}
            )
        except errors.NotFound:
            return

    async def _delete(self, resource: Resource, obj: Object, propagation: str) -> None:
        try:
            await self.context.client.delete(
                resource,
                objects.name(obj),
                objects.namespace(obj) or None,
                propagation=propagation,
                uid=objects.uid(obj),
                resource_version=objects.resource_version(obj),
            )
        except errors.NotFound:
            return


def _owners(obj: Object | None) -> set[str]:
    return {each["uid"] for each in (obj["metadata"].get("ownerReferences") or [])} if obj is not None else set()


def _finalizers(obj: Object) -> list[str]:
    return [*objects.finalizers(obj)]


def _blocks(obj: Object, owner_uid: str) -> bool:
    references = obj["metadata"].get("ownerReferences") or []
    return any(each["uid"] == owner_uid and each.get("blockOwnerDeletion") for each in references)
