"""A dashboard: a name below the platform's domain, a certificate, a login, a route through Traefik.

All four stand in the namespace of what they serve: Traefik follows no reference into another namespace, and a
certificate's Secret stays with whom it belongs to. The login's Secret is written by rendering, encrypted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nerv.components import certificates
from nerv.components.objects import Object, metadata
from nerv.components.site import Site

LOGIN = "dashboard-login"
"""Name of the Middleware and of its Secret, whose key `users` holds htpasswd lines."""


@dataclass(frozen=True)
class Dashboard:
    """What is served at https://<label>.<domain>."""

    label: str
    namespace: str
    service: str
    port: int | None = None
    """Port of the Service; None for a service inside Traefik itself."""


def objects(dashboard: Dashboard, site: Site) -> list[Object]:
    """Certificate, login and route."""
    name, secret = _name(dashboard), _secret(dashboard)
    certificate = certificates.server(site, dashboard.label, name=name, namespace=dashboard.namespace, secret=secret)
    return [certificate, _login(dashboard), _route(dashboard, site)]


def _login(dashboard: Dashboard) -> Object:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": metadata(LOGIN, dashboard.namespace),
        "spec": {"basicAuth": {"secret": LOGIN, "realm": "NERV"}},
    }


def _route(dashboard: Dashboard, site: Site) -> Object:
    service: dict[str, Any] = {"name": dashboard.service, "port": dashboard.port}
    if dashboard.port is None:
        service = {"kind": "TraefikService", "name": dashboard.service}
    rule = {
        "kind": "Rule",
        "match": f"Host(`{site.platform.host(dashboard.label)}`)",
        "middlewares": [{"name": LOGIN}],
        "services": [service],
    }
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": metadata(_name(dashboard), dashboard.namespace),
        "spec": {"entryPoints": ["websecure"], "routes": [rule], "tls": {"secretName": _secret(dashboard)}},
    }


def _name(dashboard: Dashboard) -> str:
    return f"{dashboard.label}-dashboard"


def _secret(dashboard: Dashboard) -> str:
    return f"{dashboard.label}-dashboard-tls"
