"""The API server's loopback port: chosen once and kept, so that a kubeconfig stays valid over restarts."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from nerv.engines.upstream.ports import HOST, claim
from nerv.operations.folder import write_private


def api_port(path: Path) -> int:
    """The recorded port while it is free, else a free one, recorded in `path`."""
    recorded = _recorded(path)
    port = recorded if recorded and _free(recorded) else _any_free()
    if port != recorded:
        write_private(path, json.dumps({"apiPort": port}))
    return port


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


def _any_free() -> int:
    with socket.socket() as tried:
        tried.bind((HOST, 0))
        return int(tried.getsockname()[1])
