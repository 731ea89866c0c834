"""The explicit list of components, and the full definition with one typed field for each.

Adding a component means its room, one field of `Components` and one entry of `CATALOG`.
"""

from __future__ import annotations

from nerv.components.cert_manager.settings import CertManagerSettings
from nerv.components.console.settings import ConsoleSettings
from nerv.components.flux.settings import FluxSettings
from nerv.components.longhorn.settings import LonghornSettings
from nerv.components.metallb.settings import MetallbSettings
from nerv.components.traefik.settings import TraefikSettings
from nerv.platform.base import Model
from nerv.platform.models import BasePlatform, PlatformSpec


class Components(Model):
    """What runs on the platform."""

    metallb: MetallbSettings
    """Addresses for LoadBalancer Services."""
    traefik: TraefikSettings = TraefikSettings()
    """Web traffic."""
    longhorn: LonghornSettings = LonghornSettings()
    """Storage."""
    cert_manager: CertManagerSettings = CertManagerSettings()
    """Certificates."""
    flux: FluxSettings = FluxSettings()
    """Reconciliation of the repository."""
    console: ConsoleSettings = ConsoleSettings()
    """NERV's web console."""


class Spec(PlatformSpec):
    """The platform."""

    components: Components
    """What runs on the platform."""


class Platform(BasePlatform):
    """A complete Kubernetes GitOps platform."""

    spec: Spec
    """What the platform is."""
