"""`helm upgrade`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nerv.builders.helm import Chart, Info, Release, releases, render
from nerv.builders.helm.values import merge
from nerv.controllers.flux.helm.engine import applying, crds, hooks, restarting, waiting
from nerv.controllers.flux.helm.engine.applying import UpdateFailed
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item
from nerv.controllers.flux.helm.engine.hooks import Draft
from nerv.controllers.flux.helm.engine.options import Options, PostRender
from nerv.controllers.flux.helm.engine.storage import Storage
from nerv.errors import NervError
from nerv.kube import errors


async def upgrade(
    cluster: Cluster,
    storage: Storage,
    chart: Chart,
    values: Mapping[str, Any],
    name: str,
    options: Options,
    post_render: PostRender,
) -> None:
    """Make a new version of a release. Raises ActionError or sdk.HelmError, in Helm's words."""
    last = await storage.last(name)
    try:
        namespace = last.namespace if last else ""
        await crds.apply(cluster, chart, values, options.crds, options.labels, namespace)
    except ActionError as error:
        raise ActionError(f"failed to apply CustomResourceDefinitions: {error.message}") from None
    current = await _current(storage, name, last)
    assert last is not None
    given = values
    if options.keep_values:
        # the old chart's defaults and the old values below the new ones
        values = merge(current.config, values)
        given = merge(merge(chart.values, current.chart.get("values") or {}), values)
    rendered = await render(
        chart,
        name=name,
        namespace=current.namespace,
        values=given,
        capabilities=await cluster.capabilities(),
        revision=last.version + 1,
        is_upgrade=True,
        validate=options.validate,
        kubeconfig=options.kubeconfig,
    )
    draft = Draft(
        Release(
            name=name,
            namespace=current.namespace,
            version=last.version + 1,
            info=Info(
                first_deployed=current.info.first_deployed,
                last_deployed=hooks.now(cluster),
                status=releases.PENDING_UPGRADE,
                description="Preparing upgrade",
                notes=rendered.notes,
            ),
            chart=releases.stored_chart(chart),
            config=values,
            manifest=await post_render(rendered),
            hooks=rendered.hooks,
            labels=last.labels,
        )
    )
    before, items = await _items(cluster, current, draft.release, options)
    await storage.create(draft.release)
    try:
        await _perform(cluster, storage, draft, current, before, items, options)
    except NervError as error:
        draft.release = draft.release.now(releases.FAILED, f'Upgrade "{name}" failed: {error.message}')
        await storage.update(draft.release)
        raise


async def _current(storage: Storage, name: str, last: Release | None) -> Release:
    """The version that runs now: the deployed one, else the last one if it failed or was superseded."""
    if last is None:
        raise ActionError(f'"{name}" has no deployed releases')
    if last.status in releases.PENDING:
        raise ActionError("another operation (install/upgrade/rollback) is in progress")
    if last.status == releases.DEPLOYED:
        return last
    deployed = await storage.deployed(name)
    if deployed:
        return deployed[-1]
    if last.status in (releases.FAILED, releases.SUPERSEDED):
        return last
    raise ActionError(f'"{name}" has no deployed releases')


async def _items(
    cluster: Cluster, current: Release, release: Release, options: Options
) -> tuple[list[Item], list[Item]]:
    """The objects of the old version (with those that are adopted now) and of the new one. Raises ActionError."""
    try:
        before = await cluster.items_of_text(current.manifest, current.namespace)
    except ActionError as error:
        raise ActionError(
            "current release manifest contains removed kubernetes api(s) for this kubernetes version and it is "
            "therefore unable to build the kubernetes objects for performing the diff. error from kubernetes: "
            f"{error.message}"
        ) from None
    try:
        found = await cluster.items_of_text(release.manifest, release.namespace)
    except ActionError as error:
        raise ActionError(f"unable to build kubernetes objects from new release manifest: {error.message}") from None
    items = [applying.owned(item, release.name, release.namespace) for item in found]
    known = {item.identity for item in before}
    added = [item for item in items if item.identity not in known]
    try:
        adopted = await applying.existing(cluster, added, release.name, release.namespace, options.adopt)
    except (ActionError, errors.ApiError) as error:
        raise ActionError(f"Unable to continue with update: {error.message}") from None
    return [*before, *adopted], items


async def _perform(
    cluster: Cluster,
    storage: Storage,
    draft: Draft,
    current: Release,
    before: Sequence[Item],
    items: Sequence[Item],
    options: Options,
) -> None:
    created: Sequence[Item] = ()
    try:
        if options.hooks:
            await _hooks(cluster, storage, draft, "pre-upgrade", options.seconds)
        try:
            result = await applying.update(cluster, before, items, force=options.force)
        except UpdateFailed as error:
            created = error.result.created
            raise
        created = result.created
        if options.recreate:
            await restarting.restart(cluster, result.updated)
        if options.wait:
            await waiting.ready(cluster, items, options.seconds, jobs=options.wait_for_jobs)
        if options.hooks:
            await _hooks(cluster, storage, draft, "post-upgrade", options.seconds)
    except NervError:
        if options.cleanup_on_fail:
            await applying.delete(cluster, created)
        raise
    await storage.update(current.now(releases.SUPERSEDED))
    draft.release = draft.release.now(releases.DEPLOYED, "Upgrade complete")
    await storage.update(draft.release)


async def _hooks(cluster: Cluster, storage: Storage, draft: Draft, event: str, seconds: float) -> None:
    try:
        await hooks.run(cluster, storage, draft, event, seconds)
    except ActionError as error:
        raise ActionError(f"{event} hooks failed: {error.message}") from None
