"""What happens to the objects of a Kustomization that is deleted (`spec.deletionPolicy`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nerv.controllers.flux.draft import Draft
from nerv.controllers.flux.kustomization.applying import Applier, Change
from nerv.controllers.runtime import Clock, Informers
from nerv.kube import errors, inventory
from nerv.kube.client import Client

Tell = Callable[[str, str], None]


def deletes(draft: Draft) -> bool:
    """Whether the applied objects go too: never those of a suspended Kustomization."""
    if draft.spec.get("suspend") or not (draft.status.get("inventory") or {}).get("entries"):
        return False
    policy = draft.spec.get("deletionPolicy") or "MirrorPrune"
    return policy in ("Delete", "WaitForTermination") or (policy == "MirrorPrune" and bool(draft.spec.get("prune")))


async def delete(draft: Draft, applier: Applier, tell: Tell) -> list[Change]:
    """Delete everything in the inventory. Raises ApplyError."""
    references = sorted(inventory.read(draft.status.get("inventory")), key=inventory.rank, reverse=True)
    changes = await applier.delete(references)
    if changes:
        tell("Normal", "\n".join(str(change) for change in changes))
    return changes


async def terminated(
    changes: Sequence[Change], client: Client, informers: Informers, clock: Clock, timeout: float
) -> bool:
    """Wait until deleted objects are really gone, at most `timeout` seconds. Returns whether they are."""
    late = asyncio.Event()
    timer = clock.call_later(timeout, late.set)
    try:
        for change in changes:
            if change.action == "deleted" and not await _gone(change, client, informers, late):
                return False
    finally:
        timer.cancel()
    return True


async def _gone(change: Change, client: Client, informers: Informers, late: asyncio.Event) -> bool:
    reference = change.reference
    try:
        resource = await client.resource_for(reference.api_version, reference.kind)
    except errors.NoMatch:
        return True
    informer = informers.of(resource)
    moved = asyncio.Event()
    unsubscribe = informer.on_change(lambda *_: moved.set())
    try:
        await informer.synced.wait()
        while informer.get(reference.namespace, reference.name) is not None:
            waits = [asyncio.create_task(event.wait()) for event in (moved, late)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if late.is_set():
                return False
            moved.clear()
        return True
    finally:
        unsubscribe()
