"""Reading a platform's Status through the Kubernetes API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from nerv.kube import resources
from nerv.kube.client import Client
from nerv.kube.errors import NotFound
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations.status import Status

_SOURCE = "source.toolkit.fluxcd.io"
GIT_REPOSITORIES = Resource(_SOURCE, "v1", "gitrepositories", "GitRepository")
HELM_REPOSITORIES = Resource(_SOURCE, "v1", "helmrepositories", "HelmRepository")
HELM_CHARTS = Resource(_SOURCE, "v1", "helmcharts", "HelmChart")
KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
HELM_RELEASES = Resource("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease")
INGRESS_ROUTES = Resource("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")

WATCHED: tuple[Resource, ...] = (
    resources.NODES,
    resources.PODS,
    resources.SERVICES,
    resources.DEPLOYMENTS,
    GIT_REPOSITORIES,
    HELM_REPOSITORIES,
    HELM_CHARTS,
    KUSTOMIZATIONS,
    HELM_RELEASES,
    INGRESS_ROUTES,
)

Published = Mapping[str, Mapping[int, tuple[str, int]]]


async def collect(client: Client, name: str, engine: str, published: Published) -> Status:
    """Read every list that the status is made of. Raises ApiError when the API server does not answer."""
    lists = await asyncio.gather(*(_list(client, resource) for resource in WATCHED))
    objects = {resource.kind: found for resource, found in zip(WATCHED, lists, strict=True)}
    return Status.from_objects(name, engine, objects, published=published)


async def _list(client: Client, resource: Resource) -> list[Object]:
    try:
        return list((await client.list(resource)).items)
    except NotFound:  # the kind is not installed yet
        return []


def read_published(path: Path) -> dict[str, dict[int, tuple[str, int]]]:
    """Where LoadBalancer addresses listen on this machine, as the running platform has written it."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        address: {int(port): (here[0], int(here[1])) for port, here in ports.items()} for address, ports in told.items()
    }
