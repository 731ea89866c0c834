"""Joined streams lose nothing, on either event loop: what a client says at once, and that it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from nerv.network.joins import Accepted
from nerv.network.routes import Outside


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_is_said_before_the_other_end_is_there_arrives(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_say_at_once(tmp_path))


async def _say_at_once(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    front, back = str(folder / "front"), str(folder / "back")
    tasks: set[asyncio.Future[None]] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())  # to the end: an end that is lost is waited for
        writer.write_eof()
        writer.close()

    def spawn(work: Awaitable[None]) -> None:
        tasks.add(asyncio.ensure_future(work))

    async with await asyncio.start_unix_server(echo, back):
        joined = await loop.create_unix_server(lambda: Accepted(lambda: [Outside(back)], spawn), front)
        async with joined, asyncio.timeout(20):
            for size in (1, 100, 1 << 20):
                reader, writer = await asyncio.open_unix_connection(front)
                writer.write(b"x" * size)
                writer.write_eof()
                assert await reader.read() == b"x" * size
                writer.close()
    await asyncio.gather(*tasks)
