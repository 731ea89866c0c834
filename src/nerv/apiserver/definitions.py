"""CustomResourceDefinitions: what they serve, their conditions, and which names collide.

Facts: k8s.io/apiextensions-apiserver (naming, establishing, version order).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nerv.kube.objects import Object, clone, set_condition
from nerv.kube.resources import Resource, Subresource

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
# the order in which the server of custom resources lists them
_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_STATUS_VERBS = ("get", "patch", "update")
_VERSION = re.compile(r"^v(\d+)(?:(alpha|beta)(\d+))?$")
_STABILITY = {None: 0, "beta": 1, "alpha": 2}


@dataclass(frozen=True)
class Version:
    """One served version of a definition."""

    resource: Resource
    schema: dict[str, Any]
    """`openAPIV3Schema`, or an empty schema."""
    columns: tuple[dict[str, Any], ...]
    scale: dict[str, str] | None
    conversion: dict[str, Any]
    selectable: tuple[str, ...] = ()
    """JSON paths of `selectableFields`."""
    deprecation: str = ""
    """The warning that answers every request, if the version is deprecated."""


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key: v2, v1, v1beta2, v1beta1, v1alpha1, then anything else by name."""
    match = _VERSION.match(version)
    if not match:
        return (3, 0, 0, version)
    return (_STABILITY[match[2]], -int(match[1]), -int(match[3] or 0), version)


def storage_version(crd: Object) -> str:
    """The version in which new objects are stored."""
    return next((item["name"] for item in crd["spec"]["versions"] if item.get("storage")), "")


def versions(crd: Object) -> list[Version]:
    """The served versions."""
    return [_version(crd, item) for item in crd["spec"]["versions"] if item.get("served")]


def _version(crd: Object, item: dict[str, Any]) -> Version:
    spec = crd["spec"]
    names = (crd.get("status") or {}).get("acceptedNames") or spec["names"]
    subresources = item.get("subresources") or {}
    parts = []
    if "status" in subresources:
        parts.append(Subresource("status", _STATUS_VERBS))
    if "scale" in subresources:
        parts.append(Subresource("scale", _STATUS_VERBS, "Scale", "autoscaling", "v1"))
    resource = Resource(
        spec["group"],
        item["name"],
        names["plural"],
        names["kind"],
        spec["scope"] == "Namespaced",
        names.get("singular") or names["kind"].lower(),
        tuple(names.get("shortNames") or ()),
        tuple(names.get("categories") or ()),
        _VERBS,
        tuple(parts),
    )
    return Version(
        resource,
        (item.get("schema") or {}).get("openAPIV3Schema") or {},
        tuple(item.get("additionalPrinterColumns") or ()),
        subresources.get("scale"),
        spec.get("conversion") or {"strategy": "None"},
        tuple(field["jsonPath"] for field in item.get("selectableFields") or ()),
        _deprecation(resource, item),
    )


def _deprecation(resource: Resource, item: dict[str, Any]) -> str:
    if not item.get("deprecated"):
        return ""
    return item.get("deprecationWarning") or f"{resource.api_version} {resource.kind} is deprecated"


def settle(crd: Object, others: Iterable[Object], now: datetime) -> Object:
    """The definition with its status: names accepted unless another definition of the group has them, established
    once they were accepted, and every storage version remembered."""
    settled: Object = clone(crd)
    status = settled.setdefault("status", {})
    clash = _clash(crd, others)
    conditions = status.get("conditions") or []
    if clash:
        conditions = set_condition(conditions, "NamesAccepted", "False", *clash, None, now)
    else:
        status["acceptedNames"] = clone(crd["spec"]["names"])
        conditions = set_condition(conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found", None, now)
    established = any(item["type"] == "Established" and item["status"] == "True" for item in conditions)
    if not established:
        answer = ("False", "NotAccepted", "not all names are accepted") if clash else (
            "True", "InitialNamesAccepted", "the initial names have been accepted"
        )  # fmt: skip
        conditions = set_condition(conditions, "Established", *answer, None, now)
    status["conditions"] = conditions
    status.setdefault("acceptedNames", {"plural": "", "kind": ""})
    stored = status.setdefault("storedVersions", [])
    if storage_version(crd) not in stored:
        stored.append(storage_version(crd))
    return settled


def _clash(crd: Object, others: Iterable[Object]) -> tuple[str, str] | None:
    """Reason and message of the first name that another definition of the same group has."""
    names = crd["spec"]["names"]
    mine = {names["plural"], names.get("singular") or "", *(names.get("shortNames") or ())} - {""}
    for other in others:
        if other["spec"]["group"] != crd["spec"]["group"] or other["metadata"]["name"] == crd["metadata"]["name"]:
            continue
        accepted = (other.get("status") or {}).get("acceptedNames") or {}
        theirs = {accepted.get("plural"), accepted.get("singular"), *(accepted.get("shortNames") or ())}
        if names["plural"] in theirs:
            return "PluralConflict", f'"{names["plural"]}" is already in use'
        if mine & theirs:
            taken = sorted(mine & theirs)[0]
            reason = "SingularConflict" if taken == names.get("singular") else "ShortNamesConflict"
            return reason, f'"{taken}" is already in use'
        if names["kind"] in (accepted.get("kind"), accepted.get("listKind")):
            return "KindConflict", f'"{names["kind"]}" is already in use'
        if (names.get("listKind") or "") in (accepted.get("kind"), accepted.get("listKind")):
            return "ListKindConflict", f'"{names["listKind"]}" is already in use'
    return None
