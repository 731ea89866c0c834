"""What of the control plane does not keep running, told to other processes in `.nerv/failing.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder


def write(folder: PlatformFolder, lines: Sequence[str]) -> None:
    """Tell what fails now. Raises OSError, NervError."""
    folders.write_private(folder.failing, json.dumps(list(lines), indent=1))


def forget(folder: PlatformFolder) -> None:
    """Nothing was started yet."""
    folder.failing.unlink(missing_ok=True)


def read(folder: PlatformFolder) -> tuple[str, ...]:
    """Lines for the status."""
    try:
        return tuple(map(str, json.loads(folder.failing.read_text("utf-8"))))
    except (OSError, ValueError, TypeError):
        return ()
