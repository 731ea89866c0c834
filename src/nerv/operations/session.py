"""Speaking to a platform from another process: through its kubeconfig, as any Kubernetes client does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.tls import TlsTransport
from nerv.operations import collect, engines, failing, networking, offline
from nerv.operations.collect import Published
from nerv.operations.status import Status
from nerv.operations.target import Target


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Client]:
    """A client of the cluster, closed at the end. Raises NervError for an unusable file."""
    client = Client(TlsTransport.from_kubeconfig(target.kubeconfig, target.context))
    try:
        yield client
    finally:
        await client.close()


async def status(target: Target) -> Status:
    """The status of the cluster. Raises NervError, ApiError."""
    async with connect(target) as client:
        return await status_by(client, target)


async def status_by(client: Client, target: Target) -> Status:
    """The status, by a client of the cluster. Raises ApiError; one that says no more than that nobody answers is given
    what is known of the platform's control plane as its hint."""
    try:
        found = await collect.collect(client, target.engine, published(target), server=target.server)
    except errors.Unreachable as error:
        if target.folder and target.engine:
            error.hint = "; ".join(failing.read(target.folder))
        raise
    if not target.folder or not target.engine:
        return found
    record = networking.read(target.folder)
    return replace(
        found,
        network=record.lines() if record else (),
        offline=offline.read(target.folder),
        failing=failing.read(target.folder),
        programs=engines.programs(target.engine),
    )


def published(target: Target) -> Published:
    """Where its addresses listen on this machine; on a cluster of its own they are real and none is needed."""
    return collect.read_published(target.folder.published) if target.folder and target.engine else {}
