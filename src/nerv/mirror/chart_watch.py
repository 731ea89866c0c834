"""Noticing that other charts are kept now: Flux is asked to fetch and release them, the standard way.

Flux never fetches a chart version twice (source-controller compares versions). So the repository is asked to read its
index again, the HelmChart objects that helm-controller made are deleted, their releases are asked to reconcile, which
makes the HelmChart anew, and once that is Ready they are asked again, with force: nothing else would make a release
whose chart has the version it had. (A force that comes earlier is used up by the attempt that finds no chart.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.mirror import kept as keeping
from nerv.mirror.commits import REQUESTED_AT
from nerv.mirror.config import ChartOrigin

HELM_REPOSITORIES = Resource("source.toolkit.fluxcd.io", "v1", "helmrepositories", "HelmRepository")
HELM_CHARTS = Resource("source.toolkit.fluxcd.io", "v1", "helmcharts", "HelmChart")
HELM_RELEASES = Resource("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease")
FORCE_AT = "reconcile.fluxcd.io/forceAt"
_RELEASE_NAMESPACE, _RELEASE_NAME = "helm.toolkit.fluxcd.io/namespace", "helm.toolkit.fluxcd.io/name"
_LOOK_SECONDS = 0.25
_PATIENCE = 60.0
_log = logging.getLogger(__name__)


class ChartWatch:
    """Follows the record in `kept`; `changed` takes it up and says which charts are others now."""

    def __init__(self, client: Client, kept: Path, changed: Callable[[], Iterable[ChartOrigin]]) -> None:
        self._client = client
        self._kept = kept
        self._changed = changed
        self._seen = keeping.stamp(kept)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            stamp = keeping.stamp(self._kept)
            if stamp != self._seen:
                self._seen = stamp
                await asyncio.gather(*(self.release(chart) for chart in self._changed()))

    async def release(self, chart: ChartOrigin) -> None:
        """Have every release of `chart` made from what is kept now."""
        try:
            repositories = [
                found["metadata"]
                for found in (await self._client.list(HELM_REPOSITORIES)).items
                if found["spec"].get("url", "").rstrip("/") == chart.repository.rstrip("/")
            ]
            await asyncio.gather(*(self._read_again(metadata) for metadata in repositories))
            sources = {(metadata["namespace"], metadata["name"]) for metadata in repositories}
            made = (await self._client.list(HELM_CHARTS)).items
            await asyncio.gather(*(self._fetch_again(each) for each in made if _comes_from(each, chart, sources)))
        except errors.NotFound:
            return  # Flux is not installed yet, or the object has just gone: its next look sees what is kept

    async def _read_again(self, metadata: Object) -> None:
        """Ask for the index and wait until it was read: an older index promises another digest."""
        token = await self._ask(HELM_REPOSITORIES, metadata)

        def handled(found: Object) -> bool:
            return (found.get("status") or {}).get("lastHandledReconcileAt") == token

        await self._wait(HELM_REPOSITORIES, metadata, handled, "to read its index again")

    async def _fetch_again(self, made: Object) -> None:
        metadata = made["metadata"]
        place = f"{metadata['namespace']}/{metadata['name']}"
        labels = metadata.get("labels") or {}
        release = {"namespace": labels.get(_RELEASE_NAMESPACE), "name": labels.get(_RELEASE_NAME)}
        if not all(release.values()):
            _log.warning("HelmChart %s is no release's own: delete it, and whoever made it makes it anew", place)
            return
        await self._client.delete(HELM_CHARTS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        await self._ask(HELM_RELEASES, release)

        def anew(found: Object) -> bool:
            conditions = {each["type"]: each["status"] for each in (found.get("status") or {}).get("conditions", ())}
            return found["metadata"]["uid"] != metadata["uid"] and conditions.get("Ready") == "True"

        if await self._wait(HELM_CHARTS, metadata, anew, "to be made anew"):
            await self._ask(HELM_RELEASES, release, FORCE_AT)

    async def _ask(self, resource: Resource, metadata: Object, *more: str) -> str:
        """Annotate with `requestedAt` (and `more`); the token."""
        token = datetime.now(UTC).isoformat()
        patch = {"metadata": {"annotations": dict.fromkeys((REQUESTED_AT, *more), token)}}
        await self._client.patch(resource, metadata["name"], metadata["namespace"], patch)
        return token

    async def _wait(self, resource: Resource, metadata: Object, done: Callable[[Object], bool], what: str) -> bool:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < deadline:
            try:
                if done(await self._client.get(resource, metadata["name"], metadata["namespace"])):
                    return True
            except errors.NotFound:
                pass  # between its end and its making
            await asyncio.sleep(_LOOK_SECONDS)
        place = f"{resource.kind} {metadata['namespace']}/{metadata['name']}"
        _log.warning("other charts are kept: waited %.0f s for %s %s", _PATIENCE, place, what)
        return False


def _comes_from(made: Object, chart: ChartOrigin, sources: set[tuple[str, str]]) -> bool:
    spec = made["spec"]
    reference = spec["sourceRef"]
    source = (made["metadata"]["namespace"], reference["name"])
    return reference["kind"] == "HelmRepository" and source in sources and spec["chart"] == chart.name
