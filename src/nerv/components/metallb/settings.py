"""`spec.components.metallb`"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nerv.platform.base import ChartSettings
from nerv.platform.types import Range, Unique


class MetallbSettings(ChartSettings):
    """MetalLB: gives Services of type LoadBalancer an address of the nodes' network."""

    pool: Annotated[tuple[Range, ...], Field(min_length=1), Unique]
    """Free addresses: ranges `a-b` or networks, outside what the router hands out."""
