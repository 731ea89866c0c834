"""Which objects belong to an owner: those it controls and selects; matching orphans are adopted, others released.

The rules are those of k8s.io/kubernetes/pkg/controller/controller_ref_manager.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from nerv.controllers.runtime import Informer, Key, Writer
from nerv.kube import errors, objects, selectors
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.kube.selectors import LabelSelector


async def claim(
    writer: Writer,
    owner_resource: Resource,
    owner: Object,
    resource: Resource,
    selector: LabelSelector,
    candidates: Iterable[Object],
) -> list[Object]:
    """The candidates (all of the owner's namespace) that are the owner's from now on."""
    claimed: list[Object] = []
    orphans: list[Object] = []
    strangers: list[Object] = []
    uid = objects.uid(owner)
    going = objects.deleting(owner)
    for candidate in candidates:
        reference = objects.controller_of(candidate)
        matches = selector.matches(objects.labels(candidate))
        if reference is not None:
            if reference["uid"] != uid:
                continue
            if matches:
                claimed.append(candidate)
            elif not going:
                strangers.append(candidate)
        elif matches and not going and not objects.deleting(candidate):
            orphans.append(candidate)
    if orphans and not await _is_alive(writer, owner_resource, owner):
        orphans = []
    adopted = await asyncio.gather(*(_adopt(writer, resource, owner, each) for each in orphans))
    await asyncio.gather(*(_release(writer, resource, owner, each) for each in strangers))
    return claimed + [each for each in adopted if each is not None]


async def _is_alive(writer: Writer, resource: Resource, owner: Object) -> bool:
    """Ask the server, not the informer: adopting for an owner that is going away would undo its orphaning."""
    try:
        fresh = await writer.client.get(resource, objects.name(owner), objects.namespace(owner))
    except errors.NotFound:
        return False
    return objects.uid(fresh) == objects.uid(owner) and not objects.deleting(fresh)


async def _adopt(writer: Writer, resource: Resource, owner: Object, obj: Object) -> Object | None:
    references = [*(obj["metadata"].get("ownerReferences") or []), objects.owner_reference(owner)]
    return await _set_references(writer, resource, obj, references)


async def _release(writer: Writer, resource: Resource, owner: Object, obj: Object) -> None:
    references = [each for each in obj["metadata"]["ownerReferences"] if each["uid"] != objects.uid(owner)]
    await _set_references(writer, resource, obj, references)


async def _set_references(writer: Writer, resource: Resource, obj: Object, references: list[Object]) -> Object | None:
    metadata = {
        "uid": objects.uid(obj),
        "resourceVersion": objects.resource_version(obj),
        "ownerReferences": references or None,
    }
    try:
        return await writer.patch(resource, obj, {"metadata": metadata})
    except (errors.NotFound, errors.Invalid):
        # gone, or another object under that name by now
        return None


def owner_keys(owners: Informer, kind: str, old: Object | None, new: Object | None) -> set[Key]:
    """The keys of the owners of `kind` that a change of a dependent concerns: former and present controller, and for
    an orphan every owner that selects it."""
    keys = set()
    for obj in (old, new):
        if obj is None:
            continue
        reference = objects.controller_of(obj)
        if reference is not None:
            if reference["kind"] == kind:
                keys.add(Key(objects.namespace(obj), reference["name"]))
        elif obj is new:
            keys |= _selecting(owners, obj)
    return keys


def _selecting(owners: Informer, obj: Object) -> set[Key]:
    labels = objects.labels(obj)
    if not labels:
        return set()
    return {
        Key(objects.namespace(owner), objects.name(owner))
        for owner in owners.list(objects.namespace(obj))
        if selector_of(owner).matches(labels)
    }


def selector_of(owner: Object) -> LabelSelector:
    """The selector of a workload: an object of matchLabels, or the plain map of a ReplicationController."""
    selector = owner["spec"].get("selector")
    if owner["kind"] == "ReplicationController":
        return selectors.from_labels(selector)
    return selectors.from_object(selector) if selector else selectors.NOTHING
