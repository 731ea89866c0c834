"""Conditions as cert-manager writes them, in status objects that are then written once. Pure."""

from __future__ import annotations

import datetime

from nerv.kube import objects
from nerv.kube.objects import Object


def with_condition(
    status: Object, type: str, value: bool, reason: str, message: str, generation: int | None, now: datetime.datetime
) -> Object:
    """The status with one condition set."""
    present = status.get("conditions") or []
    word = "True" if value else "False"
    return {**status, "conditions": objects.set_condition(present, type, word, reason, message, generation, now)}


def without_condition(status: Object, type: str) -> Object:
    """The status with one condition taken out."""
    return {**status, "conditions": [each for each in status.get("conditions") or [] if each["type"] != type]}


def find(status: Object, type: str) -> Object | None:
    """The condition of a type."""
    return objects.condition({"status": status}, type)
