"""`spec.components.console`"""

from __future__ import annotations

from nerv.platform.base import ComponentSettings
from nerv.platform.types import Line
from nerv.platform.versions import NERV_IMAGE


class ConsoleSettings(ComponentSettings):
    """NERV's console: what Flux does and what the cluster holds, live, at https://flux.<domain>."""

    image: Line = NERV_IMAGE
    """Container image with NERV."""
