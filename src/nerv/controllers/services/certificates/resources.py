"""cert-manager's kinds, images and the names of its annotations."""

from __future__ import annotations

from nerv.kube.resources import Resource

GROUP = "cert-manager.io"
API_VERSION = f"{GROUP}/v1"


def _resource(plural: str, kind: str, namespaced: bool = True) -> Resource:
    return Resource(GROUP, "v1", plural, kind, namespaced, kind.lower())


CERTIFICATES = _resource("certificates", "Certificate")
REQUESTS = _resource("certificaterequests", "CertificateRequest")
ISSUERS = _resource("issuers", "Issuer")
CLUSTER_ISSUERS = _resource("clusterissuers", "ClusterIssuer", False)

CONTROLLER_IMAGE = "jetstack/cert-manager-controller"
WEBHOOK_IMAGE = "jetstack/cert-manager-webhook"
CAINJECTOR_IMAGE = "jetstack/cert-manager-cainjector"
CHECK_IMAGE = "jetstack/cert-manager-startupapicheck"

CERTIFICATE_NAME = f"{GROUP}/certificate-name"
REVISION = f"{GROUP}/certificate-revision"
KEY_SECRET = f"{GROUP}/private-key-secret-name"
NEXT_KEY = f"{GROUP}/next-private-key"
ISSUER_NAME = f"{GROUP}/issuer-name"
ISSUER_KIND = f"{GROUP}/issuer-kind"
ISSUER_GROUP = f"{GROUP}/issuer-group"
MANAGED = f"controller.{GROUP}/fao"
INJECT_FROM = f"{GROUP}/inject-ca-from"
INJECT_FROM_SECRET = f"{GROUP}/inject-ca-from-secret"
INJECT_API_SERVER = f"{GROUP}/inject-apiserver-ca"
ALLOW_INJECTION = f"{GROUP}/allow-direct-injection"
