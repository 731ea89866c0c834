"""`spec.components.traefik`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nerv.platform.base import ChartSettings
from nerv.platform.types import Address


class TraefikSettings(ChartSettings):
    """Traefik: takes web traffic in, ends TLS, routes by host name."""

    address: Address | None = None
    """LoadBalancer address, one of MetalLB's pool; without it the pool's first."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    """Pods that share the traffic."""
    log_level: Literal["DEBUG", "INFO", "WARN", "ERROR"] = "INFO"
    """How much Traefik logs."""
    access_logs: bool = False
    """Log every request."""
    dashboard: bool = True
    """Serve Traefik's own dashboard at https://traefik.<domain>, with a login."""
