"""What can be wrong with `spec.components.longhorn` beside the other parts of the definition."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.components.longhorn.settings import LonghornSettings
from nerv.platform.findings import Finding
from nerv.platform.models import BasePlatform

PATH = ("spec", "components", "longhorn")


def definition(settings: LonghornSettings, platform: BasePlatform) -> Iterator[Finding]:
    """Every replica of a volume needs a node of its own, else volumes stay degraded for ever."""
    nodes = len(platform.spec.nodes)
    if settings.enabled and settings.replicas > nodes:
        count = f"{nodes} node" if nodes == 1 else f"{nodes} nodes"
        yield Finding((*PATH, "replicas"), f"{settings.replicas} replicas on {count}", f"at most {nodes}")
