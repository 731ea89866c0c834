"""Custom resource definitions as the platform installs them, for tests of single rooms."""

from __future__ import annotations

from importlib import resources

from nerv import documents
from nerv.kube.client import Client
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS


async def flux_definitions(client: Client) -> None:
    """Flux's definitions; returns when all are served."""
    text = (resources.files("nerv.components.flux") / "crds.yaml").read_text()
    for definition in documents.load_all(text):
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
