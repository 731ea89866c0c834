"""`spec.components.flux`"""

from __future__ import annotations

from nerv.platform.base import ComponentSettings
from nerv.platform.types import Duration


class FluxSettings(ComponentSettings):
    """Flux: reconciles the repository."""

    interval: Duration = "10m0s"
    """How often what is in the cluster is compared with the repository."""
    retry_interval: Duration = "30s"
    """How soon a failed reconciliation is tried again."""
    timeout: Duration = "15m0s"
    """How long the components may take to become ready; a first start pulls all images."""
    network_policies: bool = True
    """Let only what Flux needs reach its controllers."""
    webhook: bool = False
    """Let the repository's host tell of pushes, at https://flux-webhook.<domain>."""
