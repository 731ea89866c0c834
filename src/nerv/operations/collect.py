"""Reading a platform's Status through the Kubernetes API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nerv.kube import resources
from nerv.kube.client import Client
from nerv.kube.errors import ApiError, NotFound, Unauthorized, Unreachable
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations.kinds import (
    BUCKETS,
    GIT_REPOSITORIES,
    HELM_CHARTS,
    HELM_RELEASES,
    HELM_REPOSITORIES,
    INGRESS_ROUTES,
    KUSTOMIZATIONS,
    OCI_REPOSITORIES,
)
from nerv.operations.status import Status, platform_name

WATCHED: tuple[Resource, ...] = (
    resources.NODES,
    resources.PODS,
    resources.SERVICES,
    resources.DEPLOYMENTS,
    GIT_REPOSITORIES,
    OCI_REPOSITORIES,
    BUCKETS,
    HELM_REPOSITORIES,
    HELM_CHARTS,
    KUSTOMIZATIONS,
    HELM_RELEASES,
    INGRESS_ROUTES,
)

Published = Mapping[str, Mapping[int, tuple[str, int]]]


@dataclass(frozen=True)
class Listed:
    """One list, or why there is none: its kind is not installed, or reading it was refused."""

    resource: Resource
    items: list[Object] = field(default_factory=list)
    missing: bool = False
    refused: str = ""


async def collect(client: Client, engine: str, published: Published, *, server: str = "") -> Status:
    """Read every list that the status is made of. Raises ApiError when the API server does not answer."""
    lists = await asyncio.gather(*(read_list(client, resource) for resource in WATCHED))
    objects = {listed.resource.kind: listed.items for listed in lists}
    found = Status.from_objects(platform_name(objects["Kustomization"]), engine, objects, published=published)
    return replace(
        found,
        server=server,
        version="" if engine else await _version(client),
        missing=tuple(listed.resource.kind for listed in lists if listed.missing),
        refused=tuple(listed.refused for listed in lists if listed.refused),
    )


async def read_list(client: Client, resource: Resource, namespace: str | None = None) -> Listed:
    """A list whose absence is an answer too. Raises ApiError when there is no server, or it does not know the user."""
    try:
        return Listed(resource, (await client.list(resource, namespace)).items)
    except NotFound:
        return Listed(resource, missing=True)
    except (Unreachable, Unauthorized):
        raise
    except ApiError as error:
        return Listed(resource, refused=error.message)


async def _version(client: Client) -> str:
    answer = await client.raw("GET", "/version")
    try:
        return str(json.loads(answer.body).get("gitVersion", ""))
    except ValueError:
        return ""


def read_published(path: Path) -> dict[str, dict[int, tuple[str, int]]]:
    """Where LoadBalancer addresses listen on this machine, as the running platform has written it."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        address: {int(port): (here[0], int(here[1])) for port, here in ports.items()} for address, ports in told.items()
    }
