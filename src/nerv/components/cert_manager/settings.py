"""`spec.components.certManager`"""

from __future__ import annotations

from nerv.platform.base import ChartSettings
from nerv.platform.types import Duration


class CertManagerSettings(ChartSettings):
    """cert-manager: issues and renews the certificates of the dashboards from the platform's own authority."""

    ca_duration: Duration = "87600h"
    """Life of the platform's certificate authority."""
    certificate_duration: Duration = "2160h"
    """Life of a dashboard's certificate; renewed after two thirds of it."""
