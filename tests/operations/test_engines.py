"""Which engine a platform runs on, and what is said of the programs of the upstream one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nerv.engines.upstream import catalog, store
from nerv.errors import NervError
from nerv.operations import engines
from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformFolder:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "home").mkdir()
    return PlatformFolder(tmp_path / "home")


def _build(*names: str) -> None:
    into = store.default()
    into.folder.mkdir(parents=True, exist_ok=True)
    for source in catalog.SOURCES:
        if source.program in names:
            made = into.folder / "made"
            made.write_text(source.program)
            into.add(source.program, made, version=source.version, origin="test", toolchain="go1.26", seconds=1)


def test_the_engine_is_remembered_until_another_is_asked_for(platform: PlatformFolder) -> None:
    assert engines.chosen(platform, None) == "embedded"
    engines.remember(platform, "upstream")
    assert engines.chosen(platform, None) == "upstream"
    assert engines.chosen(platform, "embedded") == "embedded"
    assert platform.engine_file.stat().st_mode & 0o777 == 0o600
    platform.engine_file.write_text("of a later NERV")
    assert engines.chosen(platform, None) == "embedded"
    with pytest.raises(NervError, match="there is no engine 'real'") as caught:
        engines.chosen(platform, "real")
    assert caught.value.hint == "engines: embedded, upstream"


def test_an_engine_that_cannot_run_says_why(platform: PlatformFolder) -> None:
    upstream = engines.create("upstream")
    with pytest.raises(NervError, match="not built"):
        upstream.check()
    _build(*catalog.PROGRAMS)
    upstream.check()
    engines.create("embedded").check()


def test_what_is_there_and_what_is_missing(platform: PlatformFolder) -> None:
    assert [state.ready for state in engines.overview()] == [True, False]
    _build("etcd")
    missing = engines.overview()[1]
    assert not missing.ready
    assert missing.detail.startswith("not built: kube-apiserver, ")
    _build(*catalog.PROGRAMS)
    assert [state.ready for state in engines.overview()] == [True, True]
    assert engines.is_built("upstream")


def test_a_damaged_program_is_told_with_the_remedy(platform: PlatformFolder) -> None:
    _build(*catalog.PROGRAMS)
    scheduler = store.default().path("kube-scheduler")
    times = scheduler.stat().st_atime_ns, scheduler.stat().st_mtime_ns
    scheduler.write_text("kube-schedulex")
    os.utime(scheduler, ns=times)  # a bit that fell over on the disk: only the checksum knows
    state = engines.overview()[1]
    assert not state.ready
    assert state.detail == "damaged: kube-scheduler; `nerv engine build upstream` builds it again"
    assert [row.program for row in engines.program_versions() if row.damaged] == ["kube-scheduler"]


def test_a_start_with_a_damaged_program_is_refused(platform: PlatformFolder) -> None:
    _build(*catalog.PROGRAMS)
    etcd = store.default().path("etcd")
    etcd.write_text("e")
    assert engines.is_built("upstream")
    with pytest.raises(NervError, match=r"the upstream engine is damaged: etcd in .* not as the manifest") as caught:
        engines.create("upstream").check()
    assert caught.value.hint == "`nerv engine build upstream` builds it again"


def test_versions_that_are_not_the_pinned_ones_are_told(platform: PlatformFolder) -> None:
    _build(*catalog.PROGRAMS)
    rows = {row.program: row for row in engines.program_versions() if row.engine == "upstream"}
    assert (rows["source-controller"].pinned, rows["source-controller"].differs) == ("v1.6.0", True)
    assert not rows["kustomize-controller"].differs
    assert (rows["kube-apiserver"].pinned, rows["kube-apiserver"].differs) == ("v1.31", False)
    assert (rows["etcd"].pinned, rows["etcd"].differs) == (catalog.ETCD, False)


def test_the_status_of_a_platform_is_told_every_program(platform: PlatformFolder) -> None:
    _build(*catalog.PROGRAMS)
    into = store.default()
    own = into.folder / "made"
    own.write_text("of Debian")
    into.add("etcd", own, version="v3.4.23", origin="/usr/bin/etcd", toolchain="", seconds=0)  # as `--from` does
    told = engines.programs("upstream")
    assert [program.name for program in told] == list(catalog.PROGRAMS)
    assert [program.name for program in told if program.differs] == ["etcd", "source-controller", "helm-controller"]
    assert (told[0].version, told[0].pinned) == ("v3.4.23", catalog.ETCD)
    assert engines.programs("embedded") == ()


def test_removing_frees_what_was_built(
    platform: PlatformFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(folders, "run_base", lambda: tmp_path / "run")
    assert engines.remove("upstream") == 0
    _build("etcd")
    with store.default().held(), pytest.raises(NervError, match="is being built, taken or removed by another process"):
        engines.remove("upstream")
    assert engines.remove("upstream") > 0
    assert not store.default().folder.exists()
    with pytest.raises(NervError, match="engine embedded is part of NERV and cannot be removed"):
        engines.remove("embedded")
