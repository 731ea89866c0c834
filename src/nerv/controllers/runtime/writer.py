"""Writes that the informers see at once, so that the next reconciliation reads what the last one wrote."""

from __future__ import annotations

import copy
from typing import Any

from nerv.controllers.runtime.informer import Informers
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource


class Writer:
    """A client's writes, each put into the running informers of its resource. Errors are the client's."""

    def __init__(self, client: Client, informers: Informers) -> None:
        self.client = client
        self._informers = informers

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        """Create and take in."""
        return self._observe(resource, await self.client.create(resource, obj, namespace=namespace))

    async def replace(self, resource: Resource, obj: Object, *, subresource: str = "") -> Object:
        """Replace the object whose version is the one read; Conflict where it changed meanwhile."""
        return self._observe(resource, await self.client.replace(resource, obj, subresource=subresource))

    async def patch(
        self, resource: Resource, obj: Object, patch: Any, *, type: str = "merge", subresource: str = ""
    ) -> Object:
        """Patch the object."""
        metadata = obj["metadata"]
        answer = await self.client.patch(
            resource, metadata["name"], metadata.get("namespace"), patch, type=type, subresource=subresource
        )
        return self._observe(resource, answer)

    async def status(self, resource: Resource, obj: Object, status: Object) -> Object:
        """Write the status if it differs from the object's. Returns the object as it is now."""
        if obj.get("status", {}) == status:
            return obj
        return await self.replace(resource, {**obj, "status": copy.deepcopy(status)}, subresource="status")

    async def delete(
        self, resource: Resource, obj: Object, *, propagation: str = "Background", grace_period: int | None = None
    ) -> None:
        """Delete this very object (its uid is a precondition); one that is gone already is no error."""
        metadata = obj["metadata"]
        try:
            answer = await self.client.delete(
                resource,
                metadata["name"],
                metadata.get("namespace"),
                propagation=propagation,
                uid=metadata.get("uid"),
                grace_period=grace_period,
            )
        except (errors.NotFound, errors.Conflict):
            # gone, or another object of that name by now
            return
        if _still_there(answer):
            self._observe(resource, answer)
            return
        for informer in self._informers.find(resource):
            informer.forget(obj)

    def _observe(self, resource: Resource, obj: Object) -> Object:
        """Take in the answer to a write; one that took away what held a deleted object is its end."""
        gone = obj["metadata"].get("deletionTimestamp") and not _still_there(obj)
        for informer in self._informers.find(resource):
            if gone:
                informer.forget(obj)
            else:
                informer.observe(obj)
        return obj


def _still_there(answer: Object) -> bool:
    """Whether a deletion only marked the object: it has finalizers or a grace period left."""
    metadata = answer.get("metadata", {})
    if answer.get("kind") == "Status" or not metadata.get("deletionTimestamp"):
        return False
    content = answer.get("kind") == "Namespace" and (answer.get("spec") or {}).get("finalizers")
    return bool(metadata.get("finalizers") or content) or metadata.get("deletionGracePeriodSeconds", 0) > 0
