"""The resources, annotations and labels of Flux 2.6: facts of its API."""

from __future__ import annotations

from nerv.kube.resources import ALL_VERBS, Resource, Subresource

_STATUS = (Subresource("status", ("get", "patch", "update")),)


def _resource(group: str, version: str, plural: str, kind: str, *short_names: str) -> Resource:
    return Resource(
        f"{group}.toolkit.fluxcd.io", version, plural, kind, True, kind.lower(), short_names, (), ALL_VERBS, _STATUS
    )


GIT_REPOSITORIES = _resource("source", "v1", "gitrepositories", "GitRepository", "gitrepo")
OCI_REPOSITORIES = _resource("source", "v1", "ocirepositories", "OCIRepository", "ocirepo")
HELM_REPOSITORIES = _resource("source", "v1", "helmrepositories", "HelmRepository", "helmrepo")
HELM_CHARTS = _resource("source", "v1", "helmcharts", "HelmChart", "hc")
BUCKETS = _resource("source", "v1", "buckets", "Bucket")
KUSTOMIZATIONS = _resource("kustomize", "v1", "kustomizations", "Kustomization", "ks")
HELM_RELEASES = _resource("helm", "v2", "helmreleases", "HelmRelease", "hr")
RECEIVERS = _resource("notification", "v1", "receivers", "Receiver")

FINALIZER = "finalizers.fluxcd.io"
REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
SOURCE_GROUP = "source.toolkit.fluxcd.io"
KUSTOMIZE_GROUP = "kustomize.toolkit.fluxcd.io"

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
HEALTHY = "Healthy"
