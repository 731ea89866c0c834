"""The work of the platform's add-ons on the API: MetalLB, cert-manager, Longhorn.

Belongs here: what their controllers, webhooks and hook Jobs do, with their own wording. Not: what their charts bring
(components/*/standin), where packets go (network/), what pods are (node/). A component works only while its pods are
ready, because its work is theirs.
"""

from __future__ import annotations

from nerv.controllers.runtime import Controller, Informers
from nerv.controllers.services import certificates, load_balancer
from nerv.controllers.services.context import Context, ServicesConfig
from nerv.kube.client import Client

__all__ = ["ServicesConfig", "controllers"]


def controllers(client: Client, informers: Informers, config: ServicesConfig) -> tuple[Controller, ...]:
    """Every controller of every add-on. Must be called inside the running event loop."""
    return (
        *load_balancer.controllers(Context.named(client, informers, config, "metallb")),
        *certificates.controllers(Context.named(client, informers, config, "cert-manager")),
    )
