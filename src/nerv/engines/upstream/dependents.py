"""Flux's controllers look again every 30 s whether a dependency is ready; here they are asked to at once.

When a Kustomization or HelmRelease turns Ready, those that name it in `dependsOn` and are not Ready get the standard
request (`reconcile.fluxcd.io/requestedAt`), as `flux reconcile` sends it. What is seen is what Flux itself would do
somewhat later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from nerv.controllers.runtime import Controller, Done, Informer, Informers, Outcome, Watch
from nerv.controllers.runtime.controller import Key
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
HELM_RELEASES = Resource("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease")
REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"


def waiting(dependency: Object, everything: Iterable[Object]) -> Iterator[Object]:
    """Those of the kind that depend on the object and are neither Ready nor suspended."""
    kind, namespace, name = dependency["kind"], objects.namespace(dependency), objects.name(dependency)
    for each in everything:
        spec = each.get("spec") or {}
        named = any(
            part["name"] == name and part.get("namespace", objects.namespace(each)) == namespace
            for part in spec.get("dependsOn") or []
        )
        if named and each["kind"] == kind and not spec.get("suspend") and not objects.is_true(each, "Ready"):
            yield each


def controller(client: Client, informers: Informers) -> Controller:
    """Follows both kinds; keys are `Kind/name` of dependents."""
    followed = {resource.kind: (resource, informers.of(resource)) for resource in (KUSTOMIZATIONS, HELM_RELEASES)}

    async def ask(key: Key) -> Outcome:
        kind, _, name = key.name.partition("/")
        resource = followed[kind][0]
        now = datetime.now(UTC).isoformat()
        with contextlib.suppress(errors.NotFound):  # it went meanwhile: nothing waits any more
            await client.patch(resource, name, key.namespace, {"metadata": {"annotations": {REQUESTED_AT: now}}})
        return Done()

    watches = tuple(_watch(informer) for _, informer in followed.values())
    return Controller("flux-dependents", ask, watches, concurrency=1)


def _watch(informer: Informer) -> Watch:
    def turned_ready(old: Object | None, new: Object | None) -> Iterable[Key]:
        if old is None or new is None or not _became_ready(old, new):
            return ()
        return [Key(objects.namespace(o), f"{o['kind']}/{objects.name(o)}") for o in waiting(new, informer.list())]

    return Watch(informer, turned_ready, required=False)


def _became_ready(old: Object, new: Object) -> bool:
    """Ready for the present generation, and not so before, or with another revision."""
    return _is_current(new) and (not _is_current(old) or _revision(new) != _revision(old))


def _is_current(obj: Object) -> bool:
    observed = (obj.get("status") or {}).get("observedGeneration")
    return objects.is_true(obj, "Ready") and observed == obj["metadata"].get("generation")


def _revision(obj: Object) -> str:
    return str((obj.get("status") or {}).get("lastAppliedRevision", ""))
