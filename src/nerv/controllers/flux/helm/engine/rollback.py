"""`helm rollback`: an old version's manifest as a new version."""

from __future__ import annotations

from collections.abc import Sequence

from nerv.builders.helm import Info, Release, releases
from nerv.controllers.flux.helm.engine import applying, hooks, restarting, waiting
from nerv.controllers.flux.helm.engine.applying import UpdateFailed
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item
from nerv.controllers.flux.helm.engine.hooks import Draft
from nerv.controllers.flux.helm.engine.options import Options
from nerv.controllers.flux.helm.engine.storage import Storage


async def rollback(cluster: Cluster, storage: Storage, name: str, version: int, options: Options) -> None:
    """Go back to `version`. Raises ActionError, in Helm's words."""
    current = await storage.last(name)
    target = await storage.get(name, version)
    if current is None or target is None:
        raise ActionError(f"release has no {version} version")
    draft = Draft(
        Release(
            name=name,
            namespace=current.namespace,
            version=current.version + 1,
            info=Info(
                first_deployed=current.info.first_deployed,
                last_deployed=hooks.now(cluster),
                status=releases.PENDING_ROLLBACK,
                description=f"Rollback to {version}",
                notes=target.info.notes,
            ),
            chart=target.chart,
            config=target.config,
            manifest=target.manifest,
            hooks=target.hooks,
            labels=target.labels,
        )
    )
    before = await _items(cluster, current, "current")
    found = await _items(cluster, draft.release, "new")
    items = [applying.owned(item, name, current.namespace) for item in found]
    await storage.create(draft.release)
    await _perform(cluster, storage, draft, current, before, items, options)
    for old in await storage.deployed(name):
        await storage.update(old.now(releases.SUPERSEDED))
    draft.release = draft.release.now(releases.DEPLOYED)
    await storage.update(draft.release)


async def _items(cluster: Cluster, release: Release, which: str) -> list[Item]:
    try:
        return await cluster.items_of_text(release.manifest, release.namespace)
    except ActionError as error:
        what = f"unable to build kubernetes objects from {which} release manifest"
        raise ActionError(f"{what}: {error.message}") from None


async def _perform(
    cluster: Cluster,
    storage: Storage,
    draft: Draft,
    current: Release,
    before: Sequence[Item],
    items: Sequence[Item],
    options: Options,
) -> None:
    name = draft.release.name
    if options.hooks:
        await hooks.run(cluster, storage, draft, "pre-rollback", options.seconds)
    try:
        result = await applying.update(cluster, before, items, force=options.force)
    except UpdateFailed as error:
        await storage.update(current.now(releases.SUPERSEDED))
        await storage.update(draft.release.now(releases.FAILED, f'Rollback "{name}" failed: {error.message}'))
        if options.cleanup_on_fail:
            await applying.delete(cluster, error.result.created)
        raise
    if options.recreate:
        await restarting.restart(cluster, result.updated)
    if options.wait:
        try:
            await waiting.ready(cluster, items, options.seconds, jobs=options.wait_for_jobs)
        except ActionError as error:
            await storage.update(current)
            await storage.update(draft.release.now(releases.FAILED, f'Release "{name}" failed: {error.message}'))
            raise ActionError(f"release {name} failed: {error.message}") from None
    if options.hooks:
        await hooks.run(cluster, storage, draft, "post-rollback", options.seconds)
