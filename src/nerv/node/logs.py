"""Container logs: files in the format of the container runtimes (`<time> <stream> <F|P> <text>`), written and read.

A file that grows over 10 MiB is moved aside once, as the kubelet's containerLogMaxSize has it; two are kept.
"""

from __future__ import annotations

import asyncio
import datetime
import io
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

LARGEST = 10 << 20
_LONGEST_LINE = 16 << 10
_CHUNK = 1 << 16


def _now() -> str:
    moment = datetime.datetime.now(datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class LogFile:
    """Writes the log of one run of one container. Readers that follow are woken at every write."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.closed = False
        self._file = _open(path)
        self._followers: set[asyncio.Event] = set()

    def write(self, text: str, stream: str = "stdout") -> None:
        """Write whole lines."""
        self.write_bytes(text.rstrip("\n").encode(), stream)

    def write_bytes(self, data: bytes, stream: str, *, partial: bool = False) -> None:
        """Write lines; `partial` when the last of them goes on."""
        if self.closed:
            return
        lines = data.split(b"\n")
        head = f"{_now()} {stream} ".encode()
        records = [head + b"F " + line + b"\n" for line in lines[:-1]]
        records.append(head + (b"P " if partial else b"F ") + lines[-1] + b"\n")
        self._file.write(b"".join(records))
        if self._file.tell() > LARGEST:
            self._rotate()
        self._wake()

    async def copy(self, reader: asyncio.StreamReader, stream: str, tell: Callable[[str, bytes], None]) -> None:
        """Write everything that a program prints until it closes its output; `tell` hears it as it comes."""
        rest = b""
        while data := await reader.read(_CHUNK):
            tell(stream, data)
            lines, newline, rest = (rest + data).rpartition(b"\n")
            if newline:
                self.write_bytes(lines, stream)
            if len(rest) > _LONGEST_LINE:
                self.write_bytes(rest, stream, partial=True)
                rest = b""
        if rest:
            self.write_bytes(rest, stream)

    def close(self) -> None:
        """No more is written; who follows comes to the end."""
        if not self.closed:
            self.closed = True
            self._file.close()
            self._wake()

    def follow(self) -> asyncio.Event:
        """An event that is set at every write and at the end; give it back with `unfollow`."""
        event = asyncio.Event()
        self._followers.add(event)
        return event

    def unfollow(self, event: asyncio.Event) -> None:
        self._followers.discard(event)

    def _wake(self) -> None:
        for event in self._followers:
            event.set()

    def _rotate(self) -> None:
        self._file.close()
        self.path.replace(_older(self.path))
        self._file = _open(self.path)


def _older(path: Path) -> Path:
    """Where a log that has grown too large is moved."""
    return path.with_suffix(".log.1")


def _open(path: Path) -> io.FileIO:
    return io.FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


@dataclass(frozen=True)
class LogOptions:
    """Of PodLogOptions. `since` is a moment, `tail` a number of lines, `limit` a number of bytes."""

    follow: bool = False
    timestamps: bool = False
    since: datetime.datetime | None = None
    tail: int | None = None
    limit: int | None = None


async def read(path: Path, live: Callable[[], LogFile | None], options: LogOptions) -> AsyncGenerator[bytes, None]:
    """The text of a log as the kubelet sends it. `live` is the file that is being written, to follow it."""
    left = options.limit
    async for line in _lines(path, live, options):
        data = _render(line, options)
        if data is None:
            continue
        if left is not None:
            data = data[:left]
            left -= len(data)
        yield data
        if left == 0:
            return


async def _lines(path: Path, live: Callable[[], LogFile | None], options: LogOptions) -> AsyncGenerator[bytes, None]:
    writer = live() if options.follow else None
    event = writer.follow() if writer else asyncio.Event()
    try:
        lines, offset = _existing(path, options.tail)
        for line in lines:
            yield line
        inode = path.stat().st_ino if path.exists() else 0
        while writer is not None:
            closed = writer.closed
            event.clear()
            if path.stat().st_ino != inode:  # the file was moved aside: first what was added to it before
                for line in _from(_older(path), offset)[0]:
                    yield line
                offset, inode = 0, path.stat().st_ino
            fresh, offset = _from(path, offset)
            for line in fresh:
                yield line
            if closed:
                return
            await event.wait()
    finally:
        if writer:
            writer.unfollow(event)


def _existing(path: Path, tail: int | None) -> tuple[list[bytes], int]:
    lines, offset = _from(path, 0)
    lines = _from(_older(path), 0)[0] + lines
    return (lines if tail is None else lines[max(len(lines) - tail, 0) :]), offset


def _from(path: Path, offset: int) -> tuple[list[bytes], int]:
    """Whole lines from `offset` on, and where the next begin."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    end = data.rfind(b"\n") + 1
    return data[:end].splitlines(keepends=True), offset + end


def _render(line: bytes, options: LogOptions) -> bytes | None:
    moment, _, flag, text = line.split(b" ", 3)
    if options.since is not None:
        written = datetime.datetime.fromisoformat(moment[:26].decode()).replace(tzinfo=datetime.UTC)
        if written < options.since:
            return None
    if flag == b"P":
        text = text.rstrip(b"\n")
    return moment + b" " + text if options.timestamps else text
