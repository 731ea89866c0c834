"""The API server's loopback port: chosen once and kept, so that a kubeconfig stays valid over restarts."""

from __future__ import annotations

import json
from pathlib import Path

from nerv.engines.ports import HeldPort
from nerv.errors import NervError
from nerv.operations.folder import write_private


def hold_api_port(path: Path) -> HeldPort:
    """The recorded port while it is free, else a free one, recorded in `path`; the caller's from now on."""
    recorded = _recorded(path)
    held = _hold(recorded)
    try:
        if held.number != recorded:
            write_private(path, json.dumps({"apiPort": held.number}))
    except BaseException:
        held.release()
        raise
    return held


def _hold(recorded: int) -> HeldPort:
    try:
        return HeldPort(recorded)
    except NervError:  # somebody else has it by now
        return HeldPort()


def _recorded(path: Path) -> int:
    try:
        port = int(json.loads(path.read_text(encoding="utf-8"))["apiPort"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return port if port < 1 << 16 else 0
