"""Admission as the file of --admission-control-config-file configures it: of its plugins, PodSecurity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODES = ("enforce", "audit", "warn")


@dataclass(frozen=True)
class PodSecurity:
    """What counts for a namespace that has no labels of its own."""

    defaults: Mapping[str, str] = field(default_factory=dict)
    """Levels by mode, and versions by `mode-version`; what is not there is privileged, and latest."""
    exempt: frozenset[str] = frozenset()
    """Namespaces that nothing is asked of."""


def pod_security(configuration: Mapping[str, Any]) -> PodSecurity:
    """From an AdmissionConfiguration; an empty one leaves everything as Kubernetes has it."""
    for plugin in configuration.get("plugins", ()):
        if plugin.get("name") == "PodSecurity":
            told = plugin.get("configuration", {})
            return PodSecurity(
                dict(told.get("defaults", {})), frozenset(told.get("exemptions", {}).get("namespaces", ()))
            )
    return PodSecurity()
