"""`helm uninstall`, and `helm test`."""

from __future__ import annotations

from collections.abc import Collection

from nerv.builders.helm import Release, releases
from nerv.builders.helm.manifests import in_order
from nerv.controllers.flux.helm.engine import applying, hooks, waiting
from nerv.controllers.flux.helm.engine.applying import RESOURCE_POLICY
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item, parse
from nerv.controllers.flux.helm.engine.hooks import Draft
from nerv.controllers.flux.helm.engine.options import Options
from nerv.controllers.flux.helm.engine.storage import Storage, read

_PROPAGATION = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan"}


class NoRelease(ActionError):
    """There is nothing to uninstall."""


async def uninstall(cluster: Cluster, storage: Storage, name: str, options: Options) -> Release:
    """Remove the newest version's objects and, unless kept, the history. Raises ActionError, NoRelease.

    Returns the version that was uninstalled.
    """
    versions = [await read(secret) for secret in await storage.versions(name)]
    if not versions:
        raise NoRelease(f"uninstall: Release not loaded: {name}: release: not found")
    *older, last = versions
    if last.status == releases.UNINSTALLED:
        if options.keep_history:
            raise ActionError(f'the release named "{name}" is already deleted')
        await _purge(storage, [*older, last])
        return last
    uninstalling = last.now(
        releases.UNINSTALLING, "Deletion in progress (or silently failed)", deleted=hooks.now(cluster)
    )
    draft = Draft(uninstalling)
    if options.hooks:
        await hooks.run(cluster, storage, draft, "pre-delete", options.seconds)
    await storage.update(draft.release)
    items = await _delete(cluster, draft.release, options)
    failures = await _after(cluster, storage, draft, items, options)
    draft.release = draft.release.now(releases.UNINSTALLED, "Uninstallation complete")
    if options.keep_history:
        await storage.update(draft.release)
    else:
        await _purge(storage, [*older, draft.release])
    if failures:
        raise ActionError(f"uninstallation completed with {len(failures)} error(s): {'; '.join(failures)}")
    return draft.release


async def _delete(cluster: Cluster, release: Release, options: Options) -> list[Item]:
    """Delete the release's objects in the order of uninstallation, but for what is to be kept."""
    manifests = in_order(await parse(release.manifest), uninstall=True)
    doomed = [each for each in manifests if each.annotations.get(RESOURCE_POLICY) != "keep"]
    try:
        items = await cluster.items(doomed, release.namespace)
    except ActionError:
        raise ActionError(f"failed to delete release: {release.name}") from None
    failures = await applying.delete(cluster, items, _PROPAGATION.get(options.propagation, "Background"))
    if failures:
        raise ActionError(f"failed to delete release: {release.name}")
    return items


async def _after(cluster: Cluster, storage: Storage, draft: Draft, items: list[Item], options: Options) -> list[str]:
    failures = []
    if options.wait:
        try:
            await waiting.gone(cluster, items, options.seconds)
        except ActionError as error:
            failures.append(error.message)
    if options.hooks:
        try:
            await hooks.run(cluster, storage, draft, "post-delete", options.seconds)
        except ActionError as error:
            failures.append(error.message)
    return failures


async def _purge(storage: Storage, versions: list[Release]) -> None:
    try:
        for release in versions:
            await storage.delete(release)
    except ActionError as error:
        raise ActionError(f"uninstall: Failed to purge the release: {error.message}") from None


async def test(cluster: Cluster, storage: Storage, release: Release, seconds: float, skip: Collection[str]) -> Release:
    """Run the test hooks of a release, but for those named in `skip`. Raises ActionError; results are stored."""
    draft = Draft(release)
    try:
        await hooks.run(cluster, storage, draft, "test", seconds, skip)
    finally:
        await storage.update(draft.release)
    return draft.release
