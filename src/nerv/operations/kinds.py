"""The custom resources that operations read, as the pinned versions of their projects serve them.

The table of Flux's own controllers (controllers/flux/api.py) is not used here: importing it imports all of Flux, and
the command line starts in a tenth of a second.
"""

from __future__ import annotations

from nerv.kube.resources import Resource

SOURCE_GROUP = "source.toolkit.fluxcd.io"
KUSTOMIZE_GROUP = "kustomize.toolkit.fluxcd.io"
HELM_GROUP = "helm.toolkit.fluxcd.io"
NOTIFICATION_GROUP = "notification.toolkit.fluxcd.io"
CERTIFICATE_GROUP = "cert-manager.io"

GIT_REPOSITORIES = Resource(SOURCE_GROUP, "v1", "gitrepositories", "GitRepository")
OCI_REPOSITORIES = Resource(SOURCE_GROUP, "v1", "ocirepositories", "OCIRepository")
BUCKETS = Resource(SOURCE_GROUP, "v1", "buckets", "Bucket")
HELM_REPOSITORIES = Resource(SOURCE_GROUP, "v1", "helmrepositories", "HelmRepository")
HELM_CHARTS = Resource(SOURCE_GROUP, "v1", "helmcharts", "HelmChart")
KUSTOMIZATIONS = Resource(KUSTOMIZE_GROUP, "v1", "kustomizations", "Kustomization")
HELM_RELEASES = Resource(HELM_GROUP, "v2", "helmreleases", "HelmRelease")
RECEIVERS = Resource(NOTIFICATION_GROUP, "v1", "receivers", "Receiver")
INGRESS_ROUTES = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")
CERTIFICATES = Resource(CERTIFICATE_GROUP, "v1", "certificates", "Certificate")
CERTIFICATE_REQUESTS = Resource(CERTIFICATE_GROUP, "v1", "certificaterequests", "CertificateRequest")
ISSUERS = Resource(CERTIFICATE_GROUP, "v1", "issuers", "Issuer")
CLUSTER_ISSUERS = Resource(CERTIFICATE_GROUP, "v1", "clusterissuers", "ClusterIssuer", namespaced=False)
LONGHORN_VOLUMES = Resource("longhorn.io", "v1beta2", "volumes", "Volume")

SOURCES = (GIT_REPOSITORIES, OCI_REPOSITORIES, BUCKETS, HELM_REPOSITORIES, HELM_CHARTS)
"""Everything that Flux fetches, in the order in which it is shown."""
