"""Traefik's objects.

Its release does not wait: Helm would wait for the LoadBalancer address, which only apps-config's pool can give, and
apps-config waits for this release.
"""

from __future__ import annotations

from typing import Any

from nerv.components import dashboards, objects
from nerv.components.dashboards import Dashboard
from nerv.components.objects import Folder, Release
from nerv.components.site import Route, Site
from nerv.components.traefik.settings import TraefikSettings
from nerv.platform import versions

NAMESPACE = "traefik-system"
LABELS = (("app.kubernetes.io/name", "traefik"),)

RELEASE = Release(versions.TRAEFIK, NAMESPACE, replace_crds=True, wait=False)

ROUTES = (
    Route("web traffic from clients", NAMESPACE, LABELS, 8000, None),
    Route("web traffic over TLS from clients", NAMESPACE, LABELS, 8443, None),
    Route("probes of the kubelet", NAMESPACE, LABELS, 8080, None),
)


def apps(settings: TraefikSettings, site: Site) -> Folder:
    """Namespace, chart source and release."""
    return {
        "namespace.yaml": [objects.namespace(NAMESPACE, "restricted")],
        "repository.yaml": [objects.helm_repository(versions.TRAEFIK.name, NAMESPACE, versions.TRAEFIK)],
        "release.yaml": [objects.helm_release(RELEASE, settings, _values(settings, site))],
    }


def _values(settings: TraefikSettings, site: Site) -> dict[str, Any]:
    return {
        "image": {"tag": versions.TRAEFIK_IMAGE_TAG},
        "deployment": {"replicas": settings.replicas},
        # with it the chart's pods meet the restricted level
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "ingressClass": {"enabled": True, "isDefaultClass": True},
        "providers": {"kubernetesCRD": {"enabled": True}, "kubernetesIngress": {"enabled": True}},
        "ports": {
            "web": {"redirections": {"entryPoint": {"to": "websecure", "scheme": "https", "permanent": True}}},
            "websecure": {"tls": {"enabled": True}},
        },
        "service": {
            "type": "LoadBalancer",
            "annotations": {"metallb.io/loadBalancerIPs": str(site.load_balancer_address)},
        },
        "logs": {"general": {"level": settings.log_level}, "access": {"enabled": settings.access_logs}},
    }


def dashboard(settings: TraefikSettings) -> Dashboard | None:
    """Traefik's own dashboard, which it serves itself."""
    return Dashboard("traefik", NAMESPACE, "api@internal") if settings.dashboard else None


def apps_config(settings: TraefikSettings, site: Site) -> Folder:
    """The route to the dashboard."""
    served = dashboard(settings)
    return {"dashboard.yaml": dashboards.objects(served, site)} if served else {}
