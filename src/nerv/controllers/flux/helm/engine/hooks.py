"""Running hooks: by weight, one after the other, each waited for, and deleted as its policies say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from nerv.builders.helm import Hook, HookRun, Release
from nerv.controllers.flux.helm.engine import applying, waiting
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item, multi_error
from nerv.controllers.flux.helm.engine.storage import Storage

BEFORE = "before-hook-creation"
SUCCEEDED = "hook-succeeded"
FAILED = "hook-failed"


@dataclass
class Draft:
    """A release in the making; actions replace it step by step."""

    release: Release


async def run(
    cluster: Cluster, storage: Storage, draft: Draft, event: str, seconds: float, skip: Collection[str] = ()
) -> None:
    """Run the hooks of an event. `skip` names hooks that stay out. Raises ActionError.

    The state of each hook is recorded in the release as it changes.
    """
    chosen = [hook for hook in draft.release.hooks if event in hook.events and hook.name not in skip]
    executing = sorted(chosen, key=lambda hook: (hook.weight, hook.name))
    for hook in executing:
        await _run_one(cluster, storage, draft, hook, event, seconds)
    for hook in reversed(executing):
        await _delete(cluster, draft.release, hook, SUCCEEDED, seconds)


async def _run_one(cluster: Cluster, storage: Storage, draft: Draft, hook: Hook, event: str, seconds: float) -> None:
    await _delete(cluster, draft.release, hook, BEFORE, seconds)
    try:
        items = await cluster.items_of_text(hook.manifest, draft.release.namespace)
    except ActionError as error:
        raise ActionError(f"unable to build kubernetes object for {event} hook {hook.path}: {error.message}") from None
    started = now(cluster)
    _record(draft, hook, HookRun(started, "", "Running"))
    await storage.update(draft.release)
    try:
        await applying.create(cluster, items)
    except ActionError as error:
        _record(draft, hook, HookRun(started, now(cluster), "Failed"))
        raise ActionError(f"warning: Hook {event} {hook.path} failed: {error.message}") from None
    failures = await _wait(cluster, items, seconds)
    _record(draft, hook, HookRun(started, now(cluster), "Failed" if failures else "Succeeded"))
    if failures:
        await _delete(cluster, draft.release, hook, FAILED, seconds)
        raise multi_error(failures)


async def _wait(cluster: Cluster, items: list[Item], seconds: float) -> list[str]:
    failures = []
    for item in items:
        try:
            await waiting.hook(cluster, item, seconds)
        except ActionError as error:
            failures.append(error.message)
    return failures


def _record(draft: Draft, hook: Hook, last_run: HookRun) -> None:
    policies = hook.delete_policies or (BEFORE,)
    draft.release = draft.release.with_hook(replace(hook, last_run=last_run, delete_policies=policies))


async def _delete(cluster: Cluster, release: Release, hook: Hook, policy: str, seconds: float) -> None:
    """Delete a hook's object if its policies name `policy`, and wait until it is gone. CRDs always stay."""
    policies = hook.delete_policies or (BEFORE,)
    if hook.kind == "CustomResourceDefinition" or policy not in policies:
        return
    items = await cluster.items_of_text(hook.manifest, release.namespace)
    failures = await applying.delete(cluster, items)
    if failures:
        raise ActionError("; ".join(failures))
    await waiting.gone(cluster, items, seconds)


def now(cluster: Cluster) -> str:
    """The present as Helm writes it into releases."""
    return cluster.clock.now().isoformat().replace("+00:00", "Z")
