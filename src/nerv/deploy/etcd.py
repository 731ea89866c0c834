"""A server leaves etcd by K3s' own word (an annotation of its Node), before anything of it is deleted."""

from __future__ import annotations

import asyncio
import time

from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.errors import NotFound
from nerv.kube.resources import NODES

LEAVE = "etcd.k3s.cattle.io/remove"
LEFT = "etcd.k3s.cattle.io/removed-node-name"


async def leave(client: Client, name: str, *, limit: float, between: float) -> None:
    """Ask for it and wait until it is done; a node that is gone has left. Raises NervError at the limit."""
    deadline = time.monotonic() + limit
    try:
        await client.patch(NODES, name, None, {"metadata": {"annotations": {LEAVE: "true"}}})
        while LEFT not in ((await client.get(NODES, name))["metadata"].get("annotations") or {}):
            if time.monotonic() > deadline:
                raise NervError(
                    f"{name} has not left etcd within {limit:.0f} s",
                    "the other servers' journals (`journalctl -u k3s`) say why; the same command goes on",
                )
            await asyncio.sleep(between)
    except NotFound:
        return
