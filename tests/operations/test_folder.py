import os
from pathlib import Path

import pytest

from nerv.errors import NervError
from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlatformFolder:
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(folders, "run_base", lambda: run / "nerv")
    root = tmp_path / "home"
    root.mkdir()
    (root / "nerv.yaml").write_text("")
    return PlatformFolder(root)


def test_the_lock_names_who_holds_it(platform: PlatformFolder) -> None:
    assert folders.running_pid(platform) is None
    with folders.hold_lock(platform, "home", "embedded"):
        assert folders.running_pid(platform) == os.getpid()
        assert [(p.name, p.pid) for p in folders.running_platforms()] == [("home", os.getpid())]
        second = folders.hold_lock(platform, "home", "embedded")
        with pytest.raises(NervError, match=rf"runs already \(pid {os.getpid()}\)"):
            second.__enter__()
    assert folders.running_pid(platform) is None
    assert list(folders.running_platforms()) == []


def test_a_new_state_is_private_and_has_a_format(platform: PlatformFolder) -> None:
    folders.open_state(platform)
    assert platform.state.stat().st_mode & 0o777 == 0o700
    assert (platform.state / "format").read_text() == "1\n"
    folders.open_state(platform)


@pytest.mark.parametrize(
    ("content", "message"),
    [("2\n", r"newer NERV \(format 2, this one knows 1\)"), ("what\n", "is corrupt")],
)
def test_a_state_that_cannot_be_used_is_refused(platform: PlatformFolder, content: str, message: str) -> None:
    platform.state.mkdir()
    (platform.state / "format").write_text(content)
    with pytest.raises(NervError, match=message):
        folders.open_state(platform)
    assert (platform.state / "format").read_text() == content


def test_the_platform_is_found_upwards(platform: PlatformFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    below = platform.root / "apps" / "x"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert folders.find(None) == platform


def test_no_platform_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "run_base", lambda: tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NervError, match=r"no nerv\.yaml here or above"):
        folders.find(None)
    with pytest.raises(NervError, match=r"holds no nerv\.yaml"):
        folders.find(tmp_path)


def test_the_only_running_platform_is_meant(
    platform: PlatformFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with folders.hold_lock(platform, "home", "embedded"):
        assert folders.find(None) == platform


def test_private_files_are_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "secret"
    folders.write_private(target, "one")
    folders.write_private(target, "two")
    assert target.read_text() == "two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
