"""What is read out of programs: of a made one, of real ones, and of ones that were cut anywhere."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nerv.engines.upstream import binaries

MAGIC = b"\xff Go buildinf:"
SAID = "path\texample.com/x\nmod\texample.com/x\tv1.2.3\n"


def _varint(value: int) -> bytes:
    head = bytearray()
    while value >= 0x80:
        head.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*head, value])


def _information(said: str) -> bytes:
    """As the linker of Go writes it: pointer size, flags, padding up to 32 bytes, then two texts."""
    modules = b"s" * 16 + said.encode() + b"e" * 16
    header = (MAGIC + bytes([8, 2])).ljust(32, b"\0")
    return header + b"".join(_varint(len(text)) + text for text in (b"go1.26.1", modules))


@st.composite
def _parts(draw: st.DrawFn) -> bytes:
    """What stands before: as much as the linker aligns to, and perhaps its mark, as a text of the program's own."""
    parts = draw(st.lists(st.one_of(st.binary(max_size=40), st.just(MAGIC)), max_size=4))
    before = b"".join(parts)
    return before.ljust(-(-len(before) // 16) * 16, b"\0")


@given(before=_parts(), behind=st.binary(max_size=40), said=st.text(max_size=300))
@example(before=(MAGIC + b"\2\2").ljust(32, b"\0"), behind=b"", said="mod")  # aligned, with the flag set
@example(before=MAGIC + b"\2\2" + b"\xff" * 64, behind=b"", said="mod")
def test_module_information_is_found_wherever_it_stands(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, behind: bytes, said: str
) -> None:
    program = tmp_path_factory.getbasetemp() / "whole"
    program.write_bytes(before + _information(f"{said}\n") + behind)
    assert binaries.build_information(program) == f"{said}\n"


@given(cut=st.integers(0, len(_information(SAID)) - 1), before=_parts())
def test_cut_anywhere_it_says_nothing(tmp_path_factory: pytest.TempPathFactory, cut: int, before: bytes) -> None:
    program = tmp_path_factory.getbasetemp() / "cut"
    program.write_bytes(before + _information(SAID)[:cut])
    assert binaries.build_information(program) == ""


def test_where_the_linker_does_not_put_it_the_mark_is_a_text(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"12345678" + _information(SAID))
    assert binaries.build_information(program) == ""


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH: its own build information is not read")
def test_build_information_of_a_real_program() -> None:
    go = shutil.which("go")
    assert go
    assert "path\tcmd/go" in binaries.build_information(Path(go))
    assert binaries.unfit(Path(go)) == ""
    assert binaries.build_information(Path("/bin/sh")) == ""


@given(part=st.floats(0, 1, exclude_max=True))
def test_a_program_that_was_cut_is_unfit(tmp_path_factory: pytest.TempPathFactory, part: float) -> None:
    own = Path(sys.executable).resolve()
    cut = tmp_path_factory.getbasetemp() / "program"
    content = own.read_bytes()
    loaded = content[: int(_loaded(content) * part)]  # symbols for debuggers behind it may go
    cut.write_bytes(loaded)
    assert binaries.unfit(cut) == ("is cut short" if len(loaded) >= 4 else "is no program")
    assert binaries.unfit(own) == ""


def _loaded(content: bytes) -> int:
    """Where the last of what is loaded ends, by the program headers (elf(5), 64 bits)."""
    table = struct.unpack_from("<Q", content, 32)[0]
    size, count = struct.unpack_from("<HH", content, 54)
    headers = [struct.unpack_from("<IIQQQQ", content, table + size * number) for number in range(count)]
    return max(offset + length for kind, _, offset, _, _, length in headers if kind == 1)


def test_what_is_no_program_is_told(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    assert binaries.unfit(text) == "is no program"
    text.write_text("#!/bin/sh\n")
    assert binaries.unfit(text) == ""
