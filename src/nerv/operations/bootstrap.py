"""What `flux bootstrap` does to a new cluster, from the platform's own repository: components, secrets, sync.

Only what is committed counts: manifests are read from the branch, never from the working tree. Objects are applied
server-side as field manager `flux`, custom resource definitions and namespaces first (fluxcd/flux2 pkg/bootstrap).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources as package
from pathlib import Path

from nerv import documents, process
from nerv.errors import NervError, ProcessError
from nerv.kube.client import Client
from nerv.kube.errors import NoMatch, NotFound
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS, Resource
from nerv.operations.kinds import KUSTOMIZATIONS

NAMESPACE = "flux-system"
FIELD_MANAGER = "flux"
ADDONS_MANAGER = "deploy@nerv"
_SERVED_SECONDS, _POLL = 30.0, 0.05
_FIRST_KINDS = ("CustomResourceDefinition", "Namespace")


@dataclass(frozen=True)
class Repository:
    """The platform's repository on this machine and where the cluster's manifests stand in it."""

    folder: Path
    branch: str
    cluster_path: str
    """such as clusters/home"""


async def install_addons(client: Client) -> None:
    """Apply what the Kubernetes distribution itself brings (coredns, metrics-server)."""
    text = (package.files("nerv.operations") / "data" / "addons.yaml").read_text(encoding="utf-8")
    await apply_all(client, documents.load_all(text), ADDONS_MANAGER)


async def bootstrapped(client: Client) -> bool:
    """Whether the cluster has already applied the repository once."""
    try:
        found = await client.get(KUSTOMIZATIONS, NAMESPACE, NAMESPACE)
    except NotFound:
        return False
    return bool(found.get("status", {}).get("lastAppliedRevision"))


async def bootstrap(client: Client, repository: Repository, secrets: Iterable[Object]) -> None:
    """Install Flux's components, `secrets`, then the GitRepository and Kustomization that reconcile the rest.

    Raises NervError when the branch lacks the manifests.
    """
    folder = f"{repository.cluster_path}/flux-system"
    components = documents.load_all(await _committed(repository, f"{folder}/gotk-components.yaml"))
    await apply_all(client, components, FIELD_MANAGER)
    for secret in secrets:
        await client.apply(SECRETS, secret, field_manager=FIELD_MANAGER)
    sync = documents.load_all(await _committed(repository, f"{folder}/gotk-sync.yaml"))
    await apply_all(client, sync, FIELD_MANAGER)


async def _committed(repository: Repository, path: str) -> str:
    try:
        done = await process.run(["git", "-C", str(repository.folder), "show", f"{repository.branch}:{path}"])
    except ProcessError:
        raise NervError(
            f"branch {repository.branch} of {repository.folder} has no {path}",
            "`nerv render` writes it; commit it then",
        ) from None
    return done.stdout


async def apply_all(client: Client, objects: list[Object], manager: str) -> None:
    """Server-side apply in two stages: definitions and namespaces, then the rest side by side. Raises NervError."""
    first = [obj for obj in objects if obj["kind"] in _FIRST_KINDS]
    rest = [obj for obj in objects if obj["kind"] not in _FIRST_KINDS]
    for stage in (first, rest):
        async with asyncio.TaskGroup() as group:
            for obj in stage:
                group.create_task(_apply(client, obj, manager))


async def _apply(client: Client, obj: Object, manager: str) -> None:
    resource = await _served(client, obj)
    await client.apply(resource, obj, field_manager=manager)


async def _served(client: Client, obj: Object) -> Resource:
    """A definition that was just applied is served a moment later."""
    deadline = asyncio.get_running_loop().time() + _SERVED_SECONDS
    while True:
        try:
            return await client.resource_for(obj["apiVersion"], obj["kind"])
        except NoMatch as error:
            if asyncio.get_running_loop().time() > deadline:
                raise NervError(f"{error} after {_SERVED_SECONDS:.0f} s") from None
        await asyncio.sleep(_POLL)


def secret(name: str, data: Mapping[str, str]) -> Object:
    """A Secret in flux-system."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "type": "Opaque",
        "data": encoded,
    }
