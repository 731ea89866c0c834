"""Garbage collection for a process that holds a cluster: measured, full collections were the slowest requests.

Objects are bytes and a few fields, so cycles are rare; what exists after the start lives as long as the process.
"""

from __future__ import annotations

import gc

_YOUNG = 50_000
_MIDDLE = 20
_OLD = 100


def tune() -> None:
    """Take everything that exists out of collections, and collect rarely. Call once, when all is started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
