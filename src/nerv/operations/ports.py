"""The API server's loopback port: kept from its first start on, so that a kubeconfig stays valid over restarts."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from nerv.engines.upstream.ports import HOST, claim
from nerv.operations.folder import write_private


def api_port(path: Path) -> int:
    """The port recorded in `path` while it is free, else 0: the server takes one, which nobody can take before it."""
    recorded = _recorded(path)
    return recorded if recorded and _free(recorded) else 0


def record(path: Path, port: int) -> None:
    """Keep the port that the server has taken."""
    if port != _recorded(path):
        write_private(path, json.dumps({"apiPort": port}))


def _recorded(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["apiPort"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
            claim(port).close()
        except OSError:
            return False
    return True
