"""What can be wrong with `spec.components.flux`."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.components.flux.settings import FluxSettings
from nerv.platform.findings import Finding
from nerv.platform.types import seconds

PATH = ("spec", "components", "flux")


def definition(settings: FluxSettings) -> Iterator[Finding]:
    """Without Flux nothing happens; it must not come back without a pause, nor give up before anything can be ready."""
    if not settings.enabled:
        yield Finding((*PATH, "enabled"), "Flux cannot be switched off", "everything else is installed by it")
    for key, duration in (("interval", settings.interval), ("retryInterval", settings.retry_interval)):
        if seconds(duration) < 1:
            yield Finding((*PATH, key), f"{duration} is no pause", "at least 1s")
    if seconds(settings.timeout) < 60:
        yield Finding((*PATH, "timeout"), f"{settings.timeout} is too short for a first start", "at least 1m")
