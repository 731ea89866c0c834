"""The controllers of sources: what wakes them, and which fetcher does their work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from nerv.controllers.flux.api import BUCKETS, GIT_REPOSITORIES, HELM_CHARTS, HELM_REPOSITORIES, OCI_REPOSITORIES
from nerv.controllers.flux.artifacts import Storage
from nerv.controllers.flux.config import FluxConfig
from nerv.controllers.flux.draft import Draft, asked
from nerv.controllers.flux.sources.common import Fetch, Source
from nerv.controllers.flux.sources.git_repository import GitFetcher
from nerv.controllers.flux.sources.helm_chart import ChartFetcher
from nerv.controllers.flux.sources.helm_repository import RepositoryFetcher
from nerv.controllers.flux.sources.unsupported import refuse
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informers, Key, Outcome, Watch, Writer, key_of
from nerv.kube import objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

NAME = "source-controller"
_BY_KIND = {"HelmRepository": HELM_REPOSITORIES, "GitRepository": GIT_REPOSITORIES, "Bucket": BUCKETS}


def controllers(
    client: Client, informers: Informers, storage: Storage, events: EventRecorder, config: FluxConfig
) -> tuple[Controller, ...]:
    """One controller for each kind of source."""
    named = client.named(NAME)

    def lookup(kind: str, namespace: str, name: str) -> Object | None:
        return informers.of(_BY_KIND[kind]).get(namespace, name)

    git = GitFetcher(named, storage, config.outside, lambda namespace, name: lookup("GitRepository", namespace, name))
    repositories = RepositoryFetcher(named, storage, config.outside)
    charts = ChartFetcher(named, storage, config.outside, lookup)

    def source(resource: Resource, fetch: Fetch) -> Source:
        def draft_of(key: Key) -> Draft | None:
            obj = informers.of(resource).get(key.namespace, key.name)
            return Draft(resource, obj, Writer(named, informers), config.clock) if obj is not None else None

        return Source(draft_of, fetch, storage, events)

    def controller(resource: Resource, fetch: Fetch, *watches: Watch) -> Controller:
        own = Watch(informers.of(resource), _own)
        reconcile: Callable[[Key], Awaitable[Outcome]] = source(resource, fetch).reconcile
        if resource is HELM_REPOSITORIES:
            reconcile = _but_oci(reconcile, informers)
        return Controller(
            f"{NAME}-{resource.kind.lower()}", reconcile, (own, *watches), concurrency=4, clock=config.clock
        )

    git_charts = _charts_of(informers, "GitRepository")
    repository_charts = _charts_of(informers, "HelmRepository")
    return (
        controller(GIT_REPOSITORIES, git.fetch, Watch(informers.of(GIT_REPOSITORIES), _including(informers))),
        controller(HELM_REPOSITORIES, repositories.fetch),
        controller(
            HELM_CHARTS,
            charts.fetch,
            Watch(informers.of(HELM_REPOSITORIES), repository_charts),
            Watch(informers.of(GIT_REPOSITORIES), git_charts),
        ),
        controller(OCI_REPOSITORIES, refuse),
        controller(BUCKETS, refuse),
    )


def _own(old: Object | None, new: Object | None) -> Iterable[Key]:
    return (key_of(new),) if new is not None and asked(old, new) else ()


def _revision(source: Object | None) -> str:
    found: str = (((source or {}).get("status") or {}).get("artifact") or {}).get("revision", "")
    return found


def _charts_of(informers: Informers, kind: str) -> Callable[[Object | None, Object | None], Iterable[Key]]:
    """The charts that come from a source which has a new revision."""

    def keys(old: Object | None, new: Object | None) -> Iterable[Key]:
        revision = _revision(new)
        if new is None or not revision or revision == _revision(old):
            return
        for chart in informers.of(HELM_CHARTS).list(objects.namespace(new)):
            reference = chart["spec"]["sourceRef"]
            seen = (chart.get("status") or {}).get("observedSourceArtifactRevision")
            if (reference["kind"], reference["name"]) == (kind, objects.name(new)) and seen != revision:
                yield key_of(chart)

    return keys


def _including(informers: Informers) -> Callable[[Object | None, Object | None], Iterable[Key]]:
    """The repositories that put one into theirs which has a new revision."""

    def keys(old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is None or not _revision(new) or _revision(new) == _revision(old):
            return
        for each in informers.of(GIT_REPOSITORIES).list(objects.namespace(new)):
            if any(item["repository"]["name"] == objects.name(new) for item in each["spec"].get("include") or ()):
                yield key_of(each)

    return keys


def _but_oci(
    reconcile: Callable[[Key], Awaitable[Outcome]], informers: Informers
) -> Callable[[Key], Awaitable[Outcome]]:
    """A HelmRepository of type `oci` is a mere address: source-controller gives it neither status nor finalizer."""

    async def run(key: Key) -> Outcome:
        obj = informers.of(HELM_REPOSITORIES).get(key.namespace, key.name)
        if obj is not None and obj["spec"].get("type") == "oci" and not objects.finalizers(obj):
            return Done()
        return await reconcile(key)

    return run
