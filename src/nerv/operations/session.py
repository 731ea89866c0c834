"""Speaking to a platform from another process: through its kubeconfig, as any Kubernetes client does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.tls import TlsTransport
from nerv.operations import collect
from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder
from nerv.operations.status import Status


@asynccontextmanager
async def connect(kubeconfig: Path, context: str | None = None) -> AsyncIterator[Client]:
    """A client by kubeconfig, closed at the end. Raises NervError for an unusable file."""
    client = Client(TlsTransport.from_kubeconfig(kubeconfig, context))
    try:
        yield client
    finally:
        await client.close()


async def status_of_platform(folder: PlatformFolder) -> Status:
    """The status of a platform that runs on this machine. Raises NervError when it does not run."""
    running = next((p for p in folders.running_platforms() if p.folder == folder), None)
    if running is None or not folder.kubeconfig.exists():
        raise NervError(f"{folder.root} does not run", f"`nerv up {folder.root}` starts it")
    published = collect.read_published(folder.published)
    async with connect(folder.kubeconfig) as client:
        return await collect.collect(client, running.name, running.engine, published)


async def status_of_cluster(kubeconfig: Path, context: str | None) -> Status:
    """The status of any cluster. Raises NervError, ApiError."""
    async with connect(kubeconfig, context) as client:
        return await collect.collect(client, context or kubeconfig.stem, "cluster", {})
