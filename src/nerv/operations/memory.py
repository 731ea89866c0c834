"""Keeping the process small and its pauses short: set once, before the cluster is composed.

Measured on the default platform (docs/measurements.md): glibc's growing mmap threshold and arenas for each thread kept
14 MB that nobody used. What is large and seldom needed, Helm's SDK, has a process of its own (builders/helm/sdk.py).
"""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS = 2
_MMAP_BYTES = 64 << 10
_TRIM_BYTES = 128 << 10
# young objects before a collection; collections before the next generation. Objects of the API are bytes, so the
# old generation holds mostly what lives as long as the process.
_THRESHOLDS = (20_000, 20, 100)


def tune() -> None:
    """Tell glibc and Python's collector how this process uses memory. Other C libraries are left as they are."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def trim() -> None:
    """Give back what starting needed and running does not: documents parsed once, charts rendered once."""
    gc.collect()
    gc.freeze()
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim:
        malloc_trim(0)
