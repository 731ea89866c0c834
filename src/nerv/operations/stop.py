"""Ending a platform from another process, and forgetting its state."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from nerv.errors import NervError
from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder

_PATIENCE = 20.0
_POLL = 0.02


def stop(folder: PlatformFolder) -> int | None:
    """Ask the running platform to end and wait for it. Returns its pid, or None when it did not run.

    Raises NervError when it is still there after 20 s.
    """
    pid = folders.running_pid(folder)
    if pid is None:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    # the lock is let go a moment before the process is gone, and that one is what was asked for
    while folders.running_pid(folder) is not None or _lives(pid):
        if time.monotonic() > deadline:
            raise NervError(f"{folder.root} still runs {_PATIENCE:.0f} s after SIGTERM (pid {pid})", f"kill -9 {pid}")
        time.sleep(_POLL)
    return pid


def _lives(pid: int) -> bool:
    """Whether the process still runs; one that has ended and was not fetched by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def forget(folder: PlatformFolder) -> None:
    """Delete `.nerv/` and the folder of sockets. Raises NervError when the platform runs or files resist."""
    pid = folders.running_pid(folder)
    if pid is not None:
        raise NervError(f"{folder.root} runs (pid {pid})", "`nerv down` stops it")
    for path in (folder.state, folder.run_folder):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NervError(f"{error.filename} cannot be deleted: {error.strerror}") from None
