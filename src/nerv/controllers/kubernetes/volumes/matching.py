"""Which PersistentVolume fits a claim. Pure; rules of component-helpers/storage/volume, version 1.31."""

from __future__ import annotations

from collections.abc import Iterable

from nerv.controllers.kubernetes import placement
from nerv.kube import objects, quantity, selectors
from nerv.kube.objects import Object

_CLASS = "volume.beta.kubernetes.io/storage-class"


def storage_class(obj: Object) -> str:
    """The class of a claim or volume, empty for none."""
    old = objects.annotations(obj).get(_CLASS)
    return old if old is not None else str(obj["spec"].get("storageClassName") or "")


def is_claimed_by(volume: Object, claim: Object) -> bool:
    """Whether the volume's claimRef names this claim (or its name, for a volume bound in advance)."""
    reference = volume["spec"].get("claimRef")
    return (
        bool(reference)
        and reference.get("name") == objects.name(claim)
        and reference.get("namespace") == objects.namespace(claim)
        and reference.get("uid", "") in ("", objects.uid(claim))
    )


def best(claim: Object, volumes: Iterable[Object], node: Object | None) -> Object | None:
    """The volume reserved for the claim, else the smallest that fits. `node`: where the first consumer runs."""
    fitting = []
    wanted = _requested(claim)
    for volume in volumes:
        if objects.deleting(volume):
            continue
        if is_claimed_by(volume, claim):
            return volume
        if not volume["spec"].get("claimRef") and _fits(claim, volume, wanted) and _reachable(volume, node):
            fitting.append(volume)
    return min(fitting, key=lambda each: (_capacity(each), objects.name(each)), default=None)


def problem(claim: Object, volume: Object) -> str:
    """Why the volume that the claim names does not do; empty if it does."""
    if storage_class(claim) != storage_class(volume):
        return "storageClassName does not match"
    if _mode(claim) != _mode(volume):
        return "incompatible volumeMode"
    if _capacity(volume) < _requested(claim):
        return "requested PV is too small"
    if not _modes(claim) <= _modes(volume):
        return "incompatible accessMode"
    return ""


def _fits(claim: Object, volume: Object, wanted: int) -> bool:
    selector = claim["spec"].get("selector")
    if selector and not selectors.from_object(selector).matches(objects.labels(volume)):
        return False
    available = volume.get("status", {}).get("phase") in (None, "", "Pending", "Available")
    return available and _capacity(volume) >= wanted and not problem(claim, volume)


def _reachable(volume: Object, node: Object | None) -> bool:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return node is None or not required or placement.matches_terms(required.get("nodeSelectorTerms") or [], node)


def _requested(claim: Object) -> int:
    return quantity.to_int(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", 0))


def _capacity(volume: Object) -> int:
    return quantity.to_int((volume["spec"].get("capacity") or {}).get("storage", 0))


def _mode(obj: Object) -> str:
    return obj["spec"].get("volumeMode") or "Filesystem"


def _modes(obj: Object) -> set[str]:
    return set(obj["spec"].get("accessModes") or [])
