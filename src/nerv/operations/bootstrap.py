"""Handing the platform's own repository to Flux in the cluster on this machine.

Only what is committed counts: manifests are read from the branch, never from the working tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources as package
from pathlib import Path

from nerv import documents, process
from nerv.deploy import flux
from nerv.errors import NervError, ProcessError
from nerv.kube.client import Client
from nerv.kube.objects import Object

ADDONS_MANAGER = "deploy@nerv"


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
    await flux.apply_all(client, documents.load_all(text), ADDONS_MANAGER)


async def bootstrap(client: Client, repository: Repository, secrets: Iterable[Object]) -> None:
    """Install Flux's components, `secrets`, then the GitRepository and Kustomization that reconcile the rest.

    Raises NervError when the branch lacks the manifests.
    """
    folder = f"{repository.cluster_path}/flux-system"
    components = documents.load_all(await _committed(repository, f"{folder}/gotk-components.yaml"))
    sync = documents.load_all(await _committed(repository, f"{folder}/gotk-sync.yaml"))
    await flux.install(client, components, sync, tuple(secrets))


async def _committed(repository: Repository, path: str) -> str:
    try:
        done = await process.run(["git", "-C", str(repository.folder), "show", f"{repository.branch}:{path}"])
    except ProcessError:
        raise NervError(
            f"branch {repository.branch} of {repository.folder} has no {path}",
            "`nerv render` writes it; commit it then",
        ) from None
    return done.stdout
