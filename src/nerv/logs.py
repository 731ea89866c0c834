"""Logging is set up here and nowhere else; other modules only call `logging.getLogger(__name__)`.

Talk goes to stderr or to a file (mode 0600), results go to stdout and are not logged.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


def set_up(*, debug: bool = False, file: Path | None = None) -> None:
    """Send NERV's own records to `file`, else to stderr. Libraries speak from WARNING on."""
    handler: logging.Handler
    if file:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        stream = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")
        handler = logging.StreamHandler(stream)
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("nerv").setLevel(logging.DEBUG if debug else logging.INFO)
