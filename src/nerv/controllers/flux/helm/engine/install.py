"""`helm install`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nerv.builders.helm import Chart, Info, Release, releases, render
from nerv.controllers.flux.helm.engine import applying, crds, hooks, waiting
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item
from nerv.controllers.flux.helm.engine.hooks import Draft
from nerv.controllers.flux.helm.engine.options import Options, PostRender
from nerv.controllers.flux.helm.engine.storage import Storage
from nerv.errors import NervError
from nerv.kube import errors
from nerv.kube.resources import NAMESPACES


async def install(
    cluster: Cluster,
    storage: Storage,
    chart: Chart,
    values: Mapping[str, Any],
    name: str,
    namespace: str,
    options: Options,
    post_render: PostRender,
) -> None:
    """Install a chart as a new release. Raises ActionError or sdk.HelmError, in Helm's words.

    From the moment when objects may exist, the release is in storage, as pending, deployed or failed.
    """
    try:
        await crds.apply(cluster, chart, values, options.crds, options.labels, namespace)
    except ActionError as error:
        raise ActionError(f"failed to apply CustomResourceDefinitions: {error.message}") from None
    version = await _next_version(storage, name, options)
    rendered = await render(
        chart,
        name=name,
        namespace=namespace,
        values=values,
        capabilities=await cluster.capabilities(),
        validate=options.validate,
        kubeconfig=options.kubeconfig,
    )
    moment = hooks.now(cluster)
    draft = Draft(
        Release(
            name=name,
            namespace=namespace,
            version=version,
            info=Info(
                first_deployed=moment,
                last_deployed=moment,
                status=releases.PENDING_INSTALL,
                description="Initial install underway",
                notes=rendered.notes,
            ),
            chart=releases.stored_chart(chart),
            config=values,
            manifest=await post_render(rendered),
            hooks=rendered.hooks,
        )
    )
    try:
        found = await cluster.items_of_text(draft.release.manifest, namespace)
    except ActionError as error:
        raise ActionError(f"unable to build kubernetes objects from release manifest: {error.message}") from None
    items = [applying.owned(item, name, namespace) for item in found]
    try:
        adopted = await applying.existing(cluster, items, name, namespace, options.adopt)
    except (ActionError, errors.ApiError) as error:
        raise ActionError(f"Unable to continue with install: {error.message}") from None
    if options.create_namespace:
        await _create_namespace(cluster, namespace)
    await storage.create(draft.release)
    try:
        await _perform(cluster, storage, draft, items, adopted, options)
    except NervError as error:
        draft.release = draft.release.now(releases.FAILED, f'Release "{name}" failed: {error.message}')
        await storage.update(draft.release)
        raise


async def _next_version(storage: Storage, name: str, options: Options) -> int:
    """1, or the one after a release that may be replaced. Raises ActionError when the name is taken."""
    last = await storage.last(name)
    if last is None:
        return 1
    if options.replace and last.status in (releases.UNINSTALLED, releases.FAILED):
        if last.status != releases.FAILED:
            await storage.update(last.now(releases.SUPERSEDED, "superseded by new release"))
        return last.version + 1
    raise ActionError("cannot re-use a name that is still in use")


async def _create_namespace(cluster: Cluster, namespace: str) -> None:
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"name": namespace}}}
    try:
        await cluster.writer.create(NAMESPACES, wanted)
    except errors.AlreadyExists:
        return
    except errors.ApiError as error:
        raise ActionError(error.message) from None


async def _perform(
    cluster: Cluster, storage: Storage, draft: Draft, items: list[Item], adopted: list[Item], options: Options
) -> None:
    if options.hooks:
        try:
            await hooks.run(cluster, storage, draft, "pre-install", options.seconds)
        except ActionError as error:
            raise ActionError(f"failed pre-install: {error.message}") from None
    if adopted:
        await applying.update(cluster, adopted, items, force=False)
    else:
        await applying.create(cluster, items)
    if options.wait:
        await waiting.ready(cluster, items, options.seconds, jobs=options.wait_for_jobs)
    if options.hooks:
        try:
            await hooks.run(cluster, storage, draft, "post-install", options.seconds)
        except ActionError as error:
            raise ActionError(f"failed post-install: {error.message}") from None
    draft.release = draft.release.now(releases.DEPLOYED, "Install complete")
    await storage.update(draft.release)
