"""The dashboards' certificate authority: issued in the cluster by cert-manager, written where users can trust it."""

from __future__ import annotations

import base64
from pathlib import Path

from nerv.kube.client import Client
from nerv.kube.errors import NotFound
from nerv.kube.resources import SECRETS
from nerv.operations.folder import write_private


async def write(client: Client, path: Path, secret: tuple[str, str]) -> bool:
    """Write the authority (PEM) of `secret` (namespace, name) to `path`. False while it is not issued."""
    try:
        found = await client.get(SECRETS, secret[1], secret[0])
    except NotFound:
        return False
    encoded = found.get("data", {}).get("tls.crt")
    if not encoded:
        return False
    certificate = base64.b64decode(encoded).decode()
    if not path.exists() or path.read_text(encoding="utf-8") != certificate:
        write_private(path, certificate)
    return True
