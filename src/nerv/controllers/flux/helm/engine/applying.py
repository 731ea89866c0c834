"""Creating, updating and deleting the objects of a release, with Helm's ownership marks and in Helm's order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from nerv.controllers.flux.helm.engine import threeway
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item, multi_error
from nerv.kube import errors, objects, schemas
from nerv.kube.objects import GroupVersionKind, Object

_log = logging.getLogger(__name__)

MANAGED_BY = "app.kubernetes.io/managed-by"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
RESOURCE_POLICY = "helm.sh/resource-policy"


@dataclass
class Result:
    """What an update did."""

    created: list[Item] = field(default_factory=list)
    updated: list[Item] = field(default_factory=list)
    deleted: list[Item] = field(default_factory=list)


class UpdateFailed(ActionError):
    """An update that broke off; `result` is what it had done."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


def owned(item: Item, release: str, namespace: str) -> Item:
    """The object with the marks by which Helm knows the objects of a release."""
    metadata = dict(item.object.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY: "Helm"}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        RELEASE_NAME: release,
        RELEASE_NAMESPACE: namespace,
    }
    return Item(item.resource, {**item.object, "metadata": metadata})


async def live(cluster: Cluster, item: Item) -> Object | None:
    """The object as it is now, or None."""
    try:
        return await cluster.client.get(item.resource, item.name, item.namespace)
    except errors.NotFound:
        return None


async def existing(cluster: Cluster, items: Iterable[Item], release: str, namespace: str, adopt: bool) -> list[Item]:
    """Those that exist already. Unless they may be adopted, they must belong to the release. Raises ActionError."""
    found = []
    for item in items:
        present = await live(cluster, item)
        if present is None:
            continue
        if not adopt:
            wrong = _foreign(present, release, namespace)
            if wrong:
                place = f'{item.kind} "{item.name}" in namespace "{item.namespace or ""}"'
                raise ActionError(f"{place} exists and cannot be imported into the current release: {wrong}")
        found.append(item)
    return found


def _foreign(present: Object, release: str, namespace: str) -> str:
    checks = (
        ("label", objects.labels(present), MANAGED_BY, "Helm"),
        ("annotation", objects.annotations(present), RELEASE_NAME, release),
        ("annotation", objects.annotations(present), RELEASE_NAMESPACE, namespace),
    )
    wrong = []
    for what, marks, key, value in checks:
        if key not in marks:
            wrong.append(f'{what} validation error: missing key "{key}": must be set to "{value}"')
        elif marks[key] != value:
            wrong.append(f'{what} validation error: key "{key}" must equal "{value}": current value is "{marks[key]}"')
    return "; ".join(("invalid ownership metadata", *wrong)) if wrong else ""


async def create(cluster: Cluster, items: Sequence[Item]) -> None:
    """Create all, those of one kind at once. Raises ActionError with every failure."""

    async def one(item: Item) -> None:
        await cluster.writer.create(item.resource, item.object, item.namespace)

    failures = await _by_kind(items, one)
    if failures:
        raise multi_error(failures)


async def _by_kind(items: Sequence[Item], work: Callable[[Item], Awaitable[None]]) -> list[str]:
    """Run `work` for all, kind after kind. Returns the messages of those that the API refused."""
    failures: list[str] = []
    for _, group in groupby(items, key=lambda item: item.kind):
        done = await asyncio.gather(*(work(item) for item in group), return_exceptions=True)
        for each in done:
            if isinstance(each, errors.ApiError):
                failures.append(each.message)
            elif isinstance(each, BaseException):
                raise each
    return failures


async def update(cluster: Cluster, original: Sequence[Item], target: Sequence[Item], *, force: bool) -> Result:
    """Create what is missing, patch what exists, delete what the target no longer has. Raises UpdateFailed."""
    result = Result()
    failures: list[str] = []
    before = {item.identity: item for item in original}
    for item in target:
        try:
            present = await live(cluster, item)
            if present is None:
                result.created.append(item)
                await cluster.writer.create(item.resource, item.object, item.namespace)
                continue
        except errors.ApiError as error:
            raise UpdateFailed(f"failed to create resource: {error.message}", result) from None
        old = before.get(item.identity)
        if old is None:
            raise UpdateFailed(f'no {item.kind} with the name "{item.name}" found', result)
        try:
            await _change(cluster, old, item, present, force)
        except errors.ApiError as error:
            what = "failed to replace object" if force else f'cannot patch "{item.name}" with kind {item.kind}'
            failures.append(f"{what}: {error.message}")
        result.updated.append(item)
    if failures:
        raise UpdateFailed(" && ".join(failures), result)
    wanted = {item.identity for item in target}
    result.deleted = await _delete_left(cluster, [item for item in original if item.identity not in wanted])
    return result


async def _change(cluster: Cluster, old: Item, item: Item, present: Object, force: bool) -> None:
    if force:
        metadata = {**item.object["metadata"], "resourceVersion": objects.resource_version(present)}
        await cluster.writer.replace(item.resource, {**item.object, "metadata": metadata})
        return
    patch = _patch(old, item, present)
    if patch:
        await cluster.writer.patch(item.resource, item.object, patch)


def _patch(old: Item, item: Item, present: Object) -> dict[str, object]:
    schema = schemas.builtin(GroupVersionKind.of(item.object))
    if schema is None:
        return threeway.merge_patch(old.object, item.object)
    return threeway.merge_patch(present, threeway.merged(old.object, item.object, present, schema))


async def _delete_left(cluster: Cluster, items: Iterable[Item]) -> list[Item]:
    """Delete what the new version has no more; failures are logged only, as Helm does."""
    deleted = []
    for item in items:
        present = await live(cluster, item)
        if present is None or objects.annotations(present).get(RESOURCE_POLICY) == "keep":
            continue
        try:
            await cluster.writer.delete(item.resource, present)
        except errors.ApiError as error:
            _log.warning("[%s] %s cannot be deleted: %s", item.kind, objects.key(present), error)
            continue
        deleted.append(item)
    return deleted


async def delete(cluster: Cluster, items: Sequence[Item], propagation: str = "Background") -> list[str]:
    """Delete all, kind after kind; what is gone already is fine. Returns the failures."""

    async def one(item: Item) -> None:
        try:
            await cluster.client.delete(item.resource, item.name, item.namespace, propagation=propagation)
        except errors.NotFound:
            return

    return await _by_kind(items, one)
