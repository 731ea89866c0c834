"""cert-manager's objects, and the platform's own certificate authority.

A self-signed root signs itself, a CA issuer signs the dashboards' certificates with it. Both stand in apps-config:
cert-manager's webhook (failurePolicy Fail) has to answer before they are accepted.
"""

from __future__ import annotations

from typing import Any

from nerv.components import objects
from nerv.components.cert_manager.settings import CertManagerSettings
from nerv.components.objects import Folder, Object, Release, metadata
from nerv.components.site import Site
from nerv.platform import versions

NAMESPACE = "cert-manager"

# Hook startupapicheck counts into the release's timeout.
RELEASE = Release(versions.CERT_MANAGER, NAMESPACE, timeout="10m")


def issuer(name: str) -> str:
    """ClusterIssuer that signs with the authority of platform `name`; also the authority's Certificate and Secret."""
    return f"{name}-ca"


def apps(settings: CertManagerSettings) -> Folder:
    """Namespace, chart source and release."""
    values: dict[str, Any] = {
        # keep: removing the release must not remove every certificate of the cluster
        "crds": {"enabled": True, "keep": True},
        # one minute, the chart's default, is too short for a slow first start
        "startupapicheck": {"timeout": "5m"},
    }
    return {
        "namespace.yaml": [objects.namespace(NAMESPACE, "restricted")],
        "repository.yaml": [objects.helm_repository(versions.CERT_MANAGER.name, NAMESPACE, versions.CERT_MANAGER)],
        "release.yaml": [objects.helm_release(RELEASE, settings, values)],
    }


def apps_config(settings: CertManagerSettings, site: Site) -> Folder:
    """The root, its certificate, and the issuer of everything else."""
    name = site.platform.name
    authority = issuer(name)
    certificate: Object = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": metadata(authority, NAMESPACE),
        "spec": {
            "isCA": True,
            "commonName": f"NERV {name} CA",
            "secretName": authority,
            "duration": settings.ca_duration,
            # a new key would make every machine that trusts the authority distrust it
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
            "usages": ["cert sign", "crl sign", "digital signature"],
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": f"{name}-self-signed"},
        },
    }
    return {
        "authority.yaml": [
            _cluster_issuer(f"{name}-self-signed", {"selfSigned": {}}),
            certificate,
            _cluster_issuer(authority, {"ca": {"secretName": authority}}),
        ]
    }


def _cluster_issuer(name: str, spec: Object) -> Object:
    return {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": metadata(name), "spec": spec}
