"""The Receiver through which the repository's host tells of pushes, and its route from outside.

It stands in apps-config: its token is an encrypted Secret, and its certificate is issued by cert-manager. Whoever knows
the path may ask for a reconciliation and for nothing else, so there is no login in front of it.
"""

from __future__ import annotations

from typing import Any

from nerv.components import certificates
from nerv.components.flux.controllers import NAMESPACE
from nerv.components.flux.settings import FluxSettings
from nerv.components.objects import Folder, Object, metadata
from nerv.components.site import Site

RECEIVER = "flux-system"
TOKEN = "webhook-token"
"""Name of the Secret; its key is `token`."""
LABEL = "flux-webhook"
"""Served at https://flux-webhook.<domain>."""
PATH = "/hook/"
_SERVICE = "webhook-receiver"
_CERTIFICATE = f"{LABEL}-tls"


def apps_config(settings: FluxSettings, site: Site) -> Folder:
    """Receiver, certificate and route, where they are asked for."""
    if not settings.webhook:
        return {}
    certificate = certificates.server(site, LABEL, name=LABEL, namespace=NAMESPACE, secret=_CERTIFICATE)
    return {"webhook.yaml": [_receiver(site), certificate, _route(site)]}


def _receiver(site: Site) -> Object:
    hub = site.platform.spec.repository.provider == "github"
    spec: dict[str, Any] = {
        # a server of another kind is known by the secret path alone
        "type": "github" if hub else "generic",
        **({"events": ["ping", "push"]} if hub else {}),
        "secretRef": {"name": TOKEN},
        "resources": [
            {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "name": RECEIVER},
        ],
    }
    return {
        "apiVersion": "notification.toolkit.fluxcd.io/v1",
        "kind": "Receiver",
        "metadata": metadata(RECEIVER, NAMESPACE),
        "spec": spec,
    }


def _route(site: Site) -> Object:
    rule = {
        "kind": "Rule",
        "match": f"Host(`{site.platform.host(LABEL)}`) && PathPrefix(`{PATH}`)",
        "services": [{"name": _SERVICE, "port": 80}],
    }
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": metadata(LABEL, NAMESPACE),
        "spec": {"entryPoints": ["websecure"], "routes": [rule], "tls": {"secretName": _CERTIFICATE}},
    }
