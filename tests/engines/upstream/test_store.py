"""The store of built programs, and programs taken from a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from nerv.engines.upstream import catalog, store, taking
from nerv.engines.upstream.store import Built, Store
from nerv.errors import NervError


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    made = Store(tmp_path / "release")
    made.folder.mkdir()
    return made


def _add(into: Store, program: str, content: str = "x") -> None:
    made = into.folder / "made"
    made.write_text(content)
    into.add(program, made, version="v1", origin="test", toolchain="", seconds=0)


def test_it_lies_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store.default().folder == tmp_path / "nerv" / "engines" / "upstream" / catalog.RELEASE
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert str(store.default().folder).startswith(str(tmp_path / "me" / ".local" / "share"))


def test_a_program_without_its_file_is_missing(empty: Store) -> None:
    _add(empty, "etcd")
    assert "etcd" not in empty.missing()
    empty.path("etcd").unlink()
    assert "etcd" in empty.missing()
    with pytest.raises(NervError, match=r"not built: etcd, .* missing") as caught:
        empty.require()
    assert "nerv engine build upstream" in caught.value.hint


def test_a_changed_program_is_found(empty: Store) -> None:
    _add(empty, "etcd", "good")
    assert empty.damaged() == ()
    empty.path("etcd").write_text("evil")
    assert empty.damaged() == ("etcd",)
    empty.path("etcd").write_text("of another size")
    assert empty.damaged() == ("etcd",)


def test_a_start_asks_sizes_and_times_and_a_checksum_only_in_doubt(empty: Store) -> None:
    for name in catalog.PROGRAMS:
        _add(empty, name, "good")
    etcd = empty.path("etcd")
    written = (empty.folder / store.MANIFEST).stat().st_mtime_ns
    os.utime(etcd, ns=(written + 1, written + 1))
    assert "etcd" in empty.require()  # copied, and so written later: its content decides
    etcd.write_text("evil")
    os.utime(etcd, ns=(written + 1, written + 1))
    with pytest.raises(NervError, match="the upstream engine is damaged: etcd in") as caught:
        empty.require()
    assert "nerv engine build upstream" in caught.value.hint
    os.utime(etcd, ns=(written, written))
    assert "etcd" in empty.require()  # that nobody wrote to it is believed here, and not by `damaged`
    etcd.write_text("longer")
    os.utime(etcd, ns=(written, written))
    with pytest.raises(NervError, match="damaged: etcd"):
        empty.require()


@pytest.mark.parametrize("removed", ["etcd", store.MANIFEST])
def test_what_is_removed_while_a_start_looks_is_no_defect(
    empty: Store, monkeypatch: pytest.MonkeyPatch, removed: str
) -> None:
    for name in catalog.PROGRAMS:
        _add(empty, name)
    written = (empty.folder / store.MANIFEST).stat().st_mtime_ns
    for name in catalog.PROGRAMS:
        os.utime(empty.path(name), ns=(written, written))
    read = Store.read

    def and_gone(of: Store) -> Mapping[str, Built]:
        known = read(of)
        (of.folder / removed).unlink(missing_ok=True)
        return known

    monkeypatch.setattr(Store, "read", and_gone)
    if removed == "etcd":
        with pytest.raises(NervError, match="the upstream engine is damaged: etcd in"):
            empty.require()
    else:  # the programs are there, and their checksums say that they are whole
        assert list(empty.require()) == list(catalog.PROGRAMS)


def test_what_fails_while_a_store_is_held_is_not_taken_for_another_holder(empty: Store) -> None:
    with pytest.raises(BlockingIOError), empty.held():
        raise BlockingIOError
    with empty.held():
        pass


def test_a_damaged_manifest_is_one_line(empty: Store) -> None:
    (empty.folder / "manifest.json").write_text("{")
    with pytest.raises(NervError, match=r"manifest.json cannot be read"):
        empty.read()


def test_removing_goes_through_folders_that_refuse_it(empty: Store) -> None:
    locked = empty.build_folder / "mod" / "x@v1"
    locked.mkdir(parents=True)
    (locked / "file").write_text("12345")
    locked.chmod(0o555)
    assert empty.remove() == 5
    assert not empty.folder.exists()


def _programs(folder: Path) -> Path:
    given = folder / "given"
    given.mkdir()
    for name in catalog.PROGRAMS:
        (given / name).write_text(f"#!/bin/sh\necho Kubernetes v1.31.9+k3s1 {name}\n")
        (given / name).chmod(0o755)
    return given


async def test_programs_are_taken_from_a_folder(empty: Store, tmp_path: Path) -> None:
    given = _programs(tmp_path)
    await taking.take(empty, given, lambda step: None)
    known = empty.require()
    assert known["kube-apiserver"].version == "v1.31.9+k3s1"
    assert known["source-controller"].version == "unknown"
    assert known["etcd"].origin == str(given / "etcd")


async def test_all_that_a_folder_lacks_is_said_and_nothing_taken(empty: Store, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "etcd").write_text("not executable")
    with pytest.raises(NervError) as caught:
        await taking.take(empty, given, lambda step: None)
    assert all(name in caught.value.message for name in catalog.PROGRAMS)
    assert empty.read() == {}


async def test_a_folder_is_no_program(empty: Store, tmp_path: Path) -> None:
    given = _programs(tmp_path)
    (given / "etcd").unlink()
    (given / "etcd").mkdir()
    with pytest.raises(NervError, match=r"lacks etcd$"):
        await taking.take(empty, given, lambda step: None)


async def test_what_cannot_be_copied_leaves_everything_as_it_was(empty: Store, tmp_path: Path) -> None:
    _add(empty, "etcd", "before")
    given = _programs(tmp_path)
    last = catalog.SOURCES[-1].program
    (empty.folder / f".{last}.new").mkdir()
    with pytest.raises(NervError, match=rf"the programs were not taken: .*\.{last}\.new: Is a directory"):
        await taking.take(empty, given, lambda step: None)
    assert empty.path("etcd").read_text() == "before"
    assert list(empty.read()) == ["etcd"]


async def test_an_error_without_a_number_says_its_own_text(empty: Store, tmp_path: Path) -> None:
    os.mkfifo(empty.folder / f".{catalog.SOURCES[-1].program}.new")
    with pytest.raises(NervError, match=r"the programs were not taken: .* is a named pipe$"):
        await taking.take(empty, _programs(tmp_path), lambda step: None)


async def test_nothing_is_taken_while_another_builds(empty: Store, tmp_path: Path) -> None:
    with empty.held(), pytest.raises(NervError, match="is being built, taken or removed by another process"):
        await taking.take(empty, _programs(tmp_path), lambda step: None)
    await taking.take(empty, tmp_path / "given", lambda step: None)
    assert not [file.name for file in empty.folder.iterdir() if file.name.startswith(".")]


async def test_all_that_cannot_run_here_is_said_and_nothing_taken(empty: Store, tmp_path: Path) -> None:
    given = _programs(tmp_path)
    own = Path(sys.executable).read_bytes()
    (given / "etcd").write_bytes(own[:4096])
    foreign = bytearray(own)
    foreign[18:20] = (40).to_bytes(2, "little")  # 32-bit ARM
    (given / "kube-scheduler").write_bytes(foreign)
    with pytest.raises(NervError, match=r"etcd is cut short, kube-scheduler is not for \w+$"):
        await taking.take(empty, given, lambda step: None)
    assert empty.read() == {}
