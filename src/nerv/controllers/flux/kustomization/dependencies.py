"""Whether what a Kustomization depends on is ready. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nerv.controllers.flux.api import READY
from nerv.kube import objects
from nerv.kube.objects import Object

Lookup = Callable[[str, str], Object | None]


def names(obj: Object) -> list[tuple[str, str]]:
    """Namespace and name of everything the Kustomization depends on."""
    own = objects.namespace(obj)
    return [(each.get("namespace") or own, each["name"]) for each in (obj.get("spec") or {}).get("dependsOn") or ()]


def source_of(obj: Object) -> tuple[str, str, str]:
    """Kind, namespace and name of the source."""
    reference: Mapping[str, Any] = obj["spec"]["sourceRef"]
    return (reference["kind"], reference.get("namespace") or objects.namespace(obj), reference["name"])


def missing(obj: Object, revision: str, lookup: Lookup) -> str:
    """Why the Kustomization has to wait, empty when it has not."""
    for namespace, name in names(obj):
        shown = f"dependency '{namespace}/{name}'"
        found = lookup(namespace, name)
        if found is None:
            return f'{shown} not found: kustomizations.kustomize.toolkit.fluxcd.io "{name}" not found'
        status = found.get("status") or {}
        if not status.get("conditions") or objects.generation(found) != status.get("observedGeneration"):
            return f"{shown} is not ready"
        if not objects.is_true(found, READY):
            return f"{shown} is not ready"
        if source_of(found) == source_of(obj) and status.get("lastAppliedRevision") != revision:
            return f"{shown} revision is not up to date"
    return ""
