"""Field managers that are taken over at an apply, and annotations of other tools that are removed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object

MANAGER = "kustomize-controller"
_TAKEN_OVER = (("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update"), (MANAGER, "Update"))
_ANNOTATIONS = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
)
_LABELS = ("fluxcd.io/sync-gc-mark",)


def cleanup(obj: Object) -> list[Object]:
    """The JSON patch that removes what other tools left and makes their fields ours; empty when there is nothing."""
    operations: list[Object] = []
    for kind, names, present in (
        ("annotations", _ANNOTATIONS, objects.annotations(obj)),
        ("labels", _LABELS, objects.labels(obj)),
    ):
        for name in names:
            if name in present:
                operations.append({"op": "remove", "path": f"/metadata/{kind}/{name.replace('/', '~1')}"})
    managed = objects.metadata(obj).get("managedFields") or []
    entries = taken_over(managed)
    if entries != managed:
        operations.append({"op": "replace", "path": "/metadata/managedFields", "value": entries})
    return operations


def taken_over(entries: list[Object]) -> list[Object]:
    """The managed fields with those of the listed managers added to our own applied ones."""
    foreign = [entry for entry in entries if _matches(entry)]
    if not foreign:
        return entries
    own = next((entry for entry in entries if entry["manager"] == MANAGER and entry["operation"] == "Apply"), None)
    if own is None:
        first, *foreign = foreign
        own = {**first, "manager": MANAGER, "operation": "Apply"}
    fields: Mapping[str, Any] = own.get("fieldsV1") or {}
    for entry in foreign:
        fields = _union(fields, entry.get("fieldsV1") or {})
    others = [
        entry
        for entry in entries
        if not _matches(entry) and not (entry["manager"] == MANAGER and entry["operation"] == "Apply")
    ]
    return [*others, {**own, "fieldsV1": dict(fields)}]


def _matches(entry: Mapping[str, Any]) -> bool:
    return not entry.get("subresource") and any(
        entry["manager"].startswith(name) and entry["operation"] == operation for name, operation in _TAKEN_OVER
    )


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        result[key] = _union(result[key], value) if key in result else value
    return result
