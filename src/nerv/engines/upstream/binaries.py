"""What a program's file says of itself: whether it is whole and for this machine, and what Go has written into it.

Only bytes are read; nothing is run. Layouts: elf(5), debug/buildinfo of Go 1.18 and later.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_ELF = b"\x7fELF"
_MACHINES = {"x86_64": 62, "aarch64": 183}
"""As the kernel names them, and as ELF does."""
_FILE_HEADER = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_LOAD = 1
_MAGIC = b"\xff Go buildinf:"
_INLINE = 2
"""Flag of the build information of Go 1.18 and later: both strings follow the header."""
_FLAGS = len(_MAGIC) + 1
_INFORMATION_HEADER = 32
_ALIGNMENT = 16
"""Of the header, by the linker."""
_NUMBER_BITS = 64
_MARK = 16
"""Bytes of the marks before and behind the module information."""


def unfit(path: Path) -> str:
    """Why a file cannot run here ("is cut short"); empty for one that can, such as a script."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_FILE_HEADER.size)
        if start[:2] == b"#!":
            return ""
        if start[:4] != _ELF:
            return "is no program"
        if len(start) < _FILE_HEADER.size:
            return "is cut short"
        _, _, _, _, machine, _, _, table, _, _, _, entry, count, *_ = _FILE_HEADER.unpack(start)
        here = os.uname().machine
        if machine != _MACHINES.get(here, machine):
            return f"is not for {here}"
        file.seek(table)
        headers = file.read(entry * count)
    if entry != _PROGRAM_HEADER.size or len(headers) < entry * count:
        return "is cut short"
    parts = [_PROGRAM_HEADER.unpack_from(headers, entry * number) for number in range(count)]
    ends = [offset + length for kind, _, offset, _, _, length, *_ in parts if kind == _LOAD]
    return "is cut short" if max(ends, default=0) > size else ""


def build_information(path: Path) -> str:
    """The module information of a Go program; empty where there is none."""
    data = path.read_bytes()
    start = data.find(_MAGIC)
    while start >= 0:
        # elsewhere, and where nothing sensible follows, it is a text of the program's own
        if start % _ALIGNMENT == 0 and (found := _modules(data, start)):
            return found
        start = data.find(_MAGIC, start + 1)
    return ""


def _modules(data: bytes, start: int) -> str:
    """The module information behind the header at `start`; empty where that is none."""
    try:
        if not data[start + _FLAGS] & _INLINE:
            return ""
        _, place = _text(data, start + _INFORMATION_HEADER)  # the version of Go
        text, _ = _text(data, place)
    except IndexError:
        return ""
    # as Go itself asks: a last line that ends, between the marks
    return text[_MARK:-_MARK].decode(errors="replace") if text[:-_MARK].endswith(b"\n") else ""


def _text(data: bytes, place: int) -> tuple[bytes, int]:
    """A text behind its length, and the place behind it. Raises IndexError where the data ends before."""
    size, place = _number(data, place)
    if place + size > len(data):
        raise IndexError(place)
    return data[place : place + size], place + size


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A varint and the place behind it. Raises IndexError where there is none."""
    value = 0
    for shift in range(0, _NUMBER_BITS, 7):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
    raise IndexError(place)
