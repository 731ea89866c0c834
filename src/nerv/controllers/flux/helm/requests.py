"""What people ask of a HelmRelease through annotations: forceAt and resetAt, each with the token of requestedAt."""

from __future__ import annotations

from typing import Any

from nerv.controllers.flux.api import REQUESTED_AT
from nerv.kube import objects
from nerv.kube.objects import Object

FORCE_AT = "reconcile.fluxcd.io/forceAt"
RESET_AT = "reconcile.fluxcd.io/resetAt"


def force(obj: Object, status: dict[str, Any]) -> bool:
    """Whether a release is to be made although nothing changed; the request is noted as handled."""
    return _handle(obj, status, FORCE_AT, "lastHandledForceAt")


def reset(obj: Object, status: dict[str, Any]) -> bool:
    """Whether failures are to be counted anew; the request is noted as handled."""
    return _handle(obj, status, RESET_AT, "lastHandledResetAt")


def _handle(obj: Object, status: dict[str, Any], annotation: str, field: str) -> bool:
    token = objects.annotations(obj).get(annotation)
    if token is None:
        return False
    before = status.get(field, "")
    status[field] = token
    requested = objects.annotations(obj).get(REQUESTED_AT)
    return token == requested and status.get("lastHandledReconcileAt", "") != requested and before != token
