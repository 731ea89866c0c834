"""ControllerRevisions: the former templates of DaemonSets and StatefulSets, for `kubectl rollout history|undo`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nerv.controllers.kubernetes import claims, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.runtime import Informer
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import CONTROLLER_REVISIONS, Resource

HASH_LABEL = "controller-revision-hash"


def snapshot(owner: Object) -> Object:
    """What a revision keeps: a strategic patch that puts the owner's template back."""
    return {"spec": {"template": {**objects.clone(owner["spec"]["template"]), "$patch": "replace"}}}


@dataclass(frozen=True)
class History:
    """The revisions of the owners of one kind. `hash_label` is the label that carries a revision's hash."""

    context: Context
    resource: Resource
    revisions: Informer
    hash_label: str

    async def of(self, owner: Object) -> list[Object]:
        """The owner's revisions, oldest first."""
        mine = await claims.claim(
            self.context.writer,
            self.resource,
            owner,
            CONTROLLER_REVISIONS,
            claims.selector_of(owner),
            self.revisions.list(objects.namespace(owner)),
        )
        return sorted(mine, key=lambda each: (each["revision"], objects.name(each)))

    async def newest(self, owner: Object, known: list[Object]) -> Object:
        """The revision of the owner's present template: found and brought to the front, or made."""
        data = snapshot(owner)
        template = pods.normalized(data["spec"]["template"])
        last = known[-1]["revision"] if known else 0
        for revision in known:
            if pods.normalized(revision["data"]["spec"]["template"]) == template:
                if revision["revision"] == last:
                    return revision
                return await self.context.writer.patch(CONTROLLER_REVISIONS, revision, {"revision": last + 1})
        return await self._create(owner, data, last + 1)

    async def _create(self, owner: Object, data: Object, number: int) -> Object:
        collisions = owner.get("status", {}).get("collisionCount", 0)
        while True:
            hashed = pods.template_hash(data["spec"]["template"], collisions)
            revision = {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "name": f"{objects.name(owner)}-{hashed}",
                    "namespace": objects.namespace(owner),
                    "labels": {
                        **((owner["spec"]["template"].get("metadata") or {}).get("labels") or {}),
                        self.hash_label: hashed,
                    },
                    "annotations": _annotations(owner),
                    "ownerReferences": [objects.owner_reference(owner)],
                },
                "data": data,
                "revision": number,
            }
            try:
                return await self.context.writer.create(CONTROLLER_REVISIONS, revision)
            except errors.AlreadyExists:
                found = await self.context.client.get(
                    CONTROLLER_REVISIONS, f"{objects.name(owner)}-{hashed}", objects.namespace(owner)
                )
                if (objects.controller_of(found) or {}).get("uid") == objects.uid(owner):
                    return found
                collisions += 1

    async def trim(self, owner: Object, known: list[Object], is_used: Callable[[Object], bool]) -> None:
        """Delete the oldest revisions beyond revisionHistoryLimit that nothing uses."""
        limit = owner["spec"].get("revisionHistoryLimit", 10)
        unused = [each for each in known if not is_used(each)]
        for each in unused[: max(len(unused) - limit, 0)]:
            await self.context.writer.delete(CONTROLLER_REVISIONS, each)


def _annotations(owner: Object) -> dict[str, str]:
    hidden = "kubectl.kubernetes.io/last-applied-configuration"
    return {name: value for name, value in objects.annotations(owner).items() if name != hidden}
