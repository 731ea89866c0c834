"""Flux's controllers look again every 30 s whether a dependency is ready; here they are asked to at once.

When a Kustomization or HelmRelease turns Ready, those that name it in `dependsOn` and say that they wait for a
dependency get the standard request (`reconcile.fluxcd.io/requestedAt`), as `flux reconcile` sends it. So does one that
begins to say so a moment after its dependencies have turned Ready. What is seen is what Flux itself would do somewhat
later.
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
_WAITS = "DependencyNotReady"
REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"


def waiting(dependency: Object, everything: Iterable[Object]) -> Iterator[Object]:
    """Those of the kind that depend on the object and wait for it."""
    key = (objects.namespace(dependency), objects.name(dependency))
    for each in everything:
        if each["kind"] == dependency["kind"] and _waits(each) and key in _dependencies(each):
            yield each


def in_vain(dependent: Object, everything: Iterable[Object]) -> bool:
    """Whether it waits although all of its dependencies are Ready: they turned so while it was looking."""
    current = {(objects.namespace(each), objects.name(each)) for each in everything if _is_current(each)}
    return _waits(dependent) and set(_dependencies(dependent)) <= current


def _dependencies(obj: Object) -> list[tuple[str, str]]:
    own = objects.namespace(obj)
    return [(part.get("namespace") or own, part["name"]) for part in (obj.get("spec") or {}).get("dependsOn") or []]


def _waits(obj: Object) -> bool:
    """One that is at work already would only do its work twice."""
    ready = objects.condition(obj, "Ready") or {}
    return ready.get("reason") == _WAITS and not (obj.get("spec") or {}).get("suspend")


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
    def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
        if old is None or new is None:
            return ()
        found = list(waiting(new, informer.list())) if _became_ready(old, new) else []
        if not _waits(old) and in_vain(new, informer.list()):
            found.append(new)
        return [Key(objects.namespace(each), f"{each['kind']}/{objects.name(each)}") for each in found]

    return Watch(informer, changed, required=False)


def _became_ready(old: Object, new: Object) -> bool:
    """Ready for the present generation, and not so before, or with another revision."""
    return _is_current(new) and (not _is_current(old) or _revision(new) != _revision(old))


def _is_current(obj: Object) -> bool:
    observed = (obj.get("status") or {}).get("observedGeneration")
    return objects.is_true(obj, "Ready") and observed == obj["metadata"].get("generation")


def _revision(obj: Object) -> str:
    return str((obj.get("status") or {}).get("lastAppliedRevision", ""))
