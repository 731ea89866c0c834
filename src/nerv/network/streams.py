"""Joining two pairs of asyncio streams in NERV's own process (publishing, port-forward)."""

from __future__ import annotations

import asyncio
import contextlib

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_CHUNK = 1 << 16


async def join(one: Pair, other: Pair) -> None:
    """Pass bytes both ways until both sides have ended; an end of one side is passed on."""
    try:
        await asyncio.gather(_pass(one[0], other[1]), _pass(other[0], one[1]))
    except ConnectionError:
        pass  # either side may vanish at any time; both are closed below
    finally:
        for _, writer in (one, other):
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):  # the other side has gone already
        if writer.can_write_eof():
            writer.write_eof()
