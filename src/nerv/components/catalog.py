"""The explicit list of components, and the full definition with one typed field for each.

Adding a component means its room, one field of `Components` and one entry of `CATALOG`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nerv.components.cert_manager import host as cert_manager_host
from nerv.components.cert_manager import programs as cert_manager_programs
from nerv.components.cert_manager import resources as cert_manager
from nerv.components.cert_manager.settings import CertManagerSettings
from nerv.components.console import host as console_host
from nerv.components.console import programs as console_programs
from nerv.components.console import resources as console
from nerv.components.console.settings import ConsoleSettings
from nerv.components.dashboards import Dashboard
from nerv.components.flux import host as flux_host
from nerv.components.flux import programs as flux_programs
from nerv.components.flux import resources as flux
from nerv.components.flux import webhook as flux_webhook
from nerv.components.flux.settings import FluxSettings
from nerv.components.longhorn import host as longhorn_host
from nerv.components.longhorn import programs as longhorn_programs
from nerv.components.longhorn import resources as longhorn
from nerv.components.longhorn.settings import LonghornSettings
from nerv.components.metallb import host as metallb_host
from nerv.components.metallb import programs as metallb_programs
from nerv.components.metallb import resources as metallb
from nerv.components.metallb.settings import MetallbSettings
from nerv.components.objects import Folder
from nerv.components.site import Host, Program, Route, Site
from nerv.components.traefik import host as traefik_host
from nerv.components.traefik import programs as traefik_programs
from nerv.components.traefik import resources as traefik
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
    """The components, each with its settings; `{}` takes the defaults."""


class Platform(BasePlatform):
    """A complete Kubernetes GitOps platform."""

    spec: Spec
    """What the platform is."""


@dataclass(frozen=True)
class Component:
    """A room, as rendering and checks see it; each function reads the room's own settings out of the platform."""

    name: str
    """Folder in apps/ and apps-config/."""
    enabled: Callable[[Platform], bool]
    apps: Callable[[Platform], Folder]
    """What brings definitions and controllers."""
    apps_config: Callable[[Platform], Folder]
    """What uses them."""
    dashboard: Callable[[Platform], Dashboard | None]
    """What is served to people."""
    host: Host
    programs: tuple[Program, ...]
    routes: tuple[Route, ...] = ()
    """Connections that network policies must let pass."""


def site(platform: Platform) -> Site:
    """The platform around a room."""
    components = platform.spec.components
    return Site(
        platform=platform,
        load_balancer_address=components.traefik.address or components.metallb.pool[0].first,
        issuer=cert_manager.issuer(platform.name),
        certificate_duration=components.cert_manager.certificate_duration,
    )


CATALOG: tuple[Component, ...] = (
    Component(
        name="metallb",
        enabled=lambda p: p.spec.components.metallb.enabled,
        apps=lambda p: metallb.apps(p.spec.components.metallb),
        apps_config=lambda p: metallb.apps_config(p.spec.components.metallb, site(p)),
        dashboard=lambda _: None,
        host=metallb_host.HOST,
        programs=metallb_programs.PROGRAMS,
    ),
    Component(
        name="cert-manager",
        enabled=lambda p: p.spec.components.cert_manager.enabled,
        apps=lambda p: cert_manager.apps(p.spec.components.cert_manager),
        apps_config=lambda p: cert_manager.apps_config(p.spec.components.cert_manager, site(p)),
        dashboard=lambda _: None,
        host=cert_manager_host.HOST,
        programs=cert_manager_programs.PROGRAMS,
    ),
    Component(
        name="traefik",
        enabled=lambda p: p.spec.components.traefik.enabled,
        apps=lambda p: traefik.apps(p.spec.components.traefik, site(p)),
        apps_config=lambda p: traefik.apps_config(p.spec.components.traefik, site(p)),
        dashboard=lambda p: traefik.dashboard(p.spec.components.traefik),
        host=traefik_host.HOST,
        programs=traefik_programs.PROGRAMS,
        routes=traefik.ROUTES,
    ),
    Component(
        name="longhorn",
        enabled=lambda p: p.spec.components.longhorn.enabled,
        apps=lambda p: longhorn.apps(p.spec.components.longhorn),
        apps_config=lambda p: longhorn.apps_config(p.spec.components.longhorn, site(p)),
        dashboard=lambda p: longhorn.dashboard(p.spec.components.longhorn),
        host=longhorn_host.HOST,
        programs=longhorn_programs.PROGRAMS,
    ),
    Component(
        name="console",
        enabled=lambda p: p.spec.components.console.enabled,
        apps=lambda _: {},
        apps_config=lambda p: console.apps_config(p.spec.components.console, site(p)),
        dashboard=lambda _: console.DASHBOARD,
        host=console_host.HOST,
        programs=console_programs.PROGRAMS,
        routes=console.ROUTES,
    ),
    Component(
        name="flux",
        enabled=lambda _: True,
        # its other objects are the cluster's own folder, see nerv.rendering.cluster
        apps=lambda _: {},
        apps_config=lambda p: flux_webhook.apps_config(p.spec.components.flux, site(p)),
        dashboard=lambda _: None,
        host=flux_host.HOST,
        programs=flux_programs.PROGRAMS,
        routes=flux.ROUTES,
    ),
)


def enabled(platform: Platform) -> tuple[Component, ...]:
    """The components that this platform carries."""
    return tuple(component for component in CATALOG if component.enabled(platform))


def served(platform: Platform) -> tuple[Dashboard, ...]:
    """The dashboards of this platform."""
    found = (component.dashboard(platform) for component in enabled(platform))
    return tuple(dashboard for dashboard in found if dashboard is not None)
