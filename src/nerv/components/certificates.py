"""The certificate of a name below the platform's domain, as whoever serves there asks cert-manager for it."""

from __future__ import annotations

from nerv.components.objects import Object, metadata
from nerv.components.site import Site


def server(site: Site, label: str, *, name: str, namespace: str, secret: str) -> Object:
    """For https://<label>.<domain>; cert-manager writes it to the Secret `secret`."""
    host = site.platform.host(label)
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": metadata(name, namespace),
        "spec": {
            "secretName": secret,
            "commonName": host,
            "dnsNames": [host],
            "duration": site.certificate_duration,
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": site.issuer},
        },
    }
