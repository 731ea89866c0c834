"""`spec.components.longhorn`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nerv.platform.base import ChartSettings
from nerv.platform.types import AbsolutePath


class LonghornSettings(ChartSettings):
    """Longhorn: replicated block storage on the nodes' own disks."""

    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    """Copies of every volume, each on a node of its own."""
    data_path: AbsolutePath = "/var/lib/longhorn"
    """Folder of the data on every node."""
    default_storage_class: bool = True
    """Whether volumes without a storage class are Longhorn's."""
    reclaim_policy: Literal["Delete", "Retain"] = "Delete"
    """What happens to a volume when its claim is deleted."""
    minimal_available_percentage: Annotated[int, Field(ge=0, le=100)] = 25
    """Disk space that Longhorn leaves free."""
    ui_replicas: Annotated[int, Field(ge=1, le=10)] = 2
    """Pods of the dashboard."""
    dashboard: bool = True
    """Serve Longhorn's dashboard at https://longhorn.<domain>, with a login."""
