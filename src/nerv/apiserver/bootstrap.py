"""What exists in every cluster from the first start: namespaces and the `kubernetes` Service's home."""

from __future__ import annotations

from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import NAMESPACES

NAMESPACE_NAMES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def create_namespaces(client: Client) -> None:
    """Those that are missing."""
    for name in NAMESPACE_NAMES:
        try:
            await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        except errors.AlreadyExists:
            continue
