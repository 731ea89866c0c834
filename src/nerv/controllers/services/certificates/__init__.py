"""What cert-manager 1.18 does on the API: issuers, certificates, requests, CA injection, webhook, start-up check.

Belongs here: the work of its controller, webhook, cainjector and startupapicheck; certificates are real X.509.
Not done: ACME, Vault, Venafi (an issuer says so), keystores, the shims for Ingress and Gateway.
"""

from __future__ import annotations

from nerv.controllers.runtime import Controller
from nerv.controllers.services.certificates import resources
from nerv.controllers.services.certificates.certificate import certificates
from nerv.controllers.services.certificates.injection import ca_injection
from nerv.controllers.services.certificates.issuers import issuer_status
from nerv.controllers.services.certificates.requests import certificate_requests
from nerv.controllers.services.certificates.webhook import webhook_server
from nerv.controllers.services.context import Context


def controllers(context: Context) -> tuple[Controller, ...]:
    """All of cert-manager."""
    return (
        webhook_server(context),
        ca_injection(context),
        issuer_status(context, resources.ISSUERS),
        issuer_status(context, resources.CLUSTER_ISSUERS),
        certificate_requests(context),
        certificates(context),
    )
