"""Files on disk: all or nothing, inside the repository, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from nerv.errors import NervError, ProblemsError
from nerv.rendering import writing
from nerv.rendering.manifest import FILE, Manifest


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and ".nerv" not in path.parts
    }


def put(root: Path, tree: dict[str, str]) -> None:
    writing.apply(root, writing.plan(root, tree))


def test_a_tree_is_written_with_its_manifest_and_taken_away_again(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": "1\n", "b/c.yaml": "2\n"})
    assert files(tmp_path).keys() == {"a.yaml", "b/c.yaml", FILE}
    put(tmp_path, {"a.yaml": "1\n"})
    assert files(tmp_path).keys() == {"a.yaml", FILE}
    assert not (tmp_path / "b").exists()


def test_nothing_changes_where_nothing_is_to_do(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": "1\n"})
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in files(tmp_path)}
    put(tmp_path, {"a.yaml": "1\n"})
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in files(tmp_path)} == before


def test_a_refused_file_stops_all_of_it(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": "1\n", "b.yaml": "1\n"})
    (tmp_path / "b.yaml").write_text("edited\n")
    with pytest.raises(ProblemsError, match="1 problem found"):
        put(tmp_path, {"a.yaml": "2\n", "b.yaml": "2\n"})
    assert (tmp_path / "a.yaml").read_text() == "1\n"
    assert (tmp_path / "b.yaml").read_text() == "edited\n"


def test_a_failure_in_the_middle_undoes_what_was_done(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": "1\n", "z.yaml": "1\n"})
    (tmp_path / "blocked").write_text("a file where a folder is needed\n")
    before = files(tmp_path)
    with pytest.raises(NervError, match=r"blocked.* cannot be written"):
        writing.replace(tmp_path, {"a.yaml": "2\n", "new/b.yaml": "2\n", "z.yaml": None, "blocked/c.yaml": "2\n"})
    assert files(tmp_path) == before
    assert list((tmp_path / ".nerv").iterdir()) == []


def test_a_run_that_was_killed_before_the_manifest_is_completed(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": "1\n", "b.yaml": "1\n"})
    (tmp_path / "a.yaml").write_text("2\n")  # renamed already, b.yaml and the manifest not yet
    put(tmp_path, {"a.yaml": "2\n", "b.yaml": "2\n"})
    assert files(tmp_path)["b.yaml"] == "2\n"


def test_links_out_of_the_repository_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "apps").symlink_to(outside)
    with pytest.raises(NervError, match="leads out of the repository"):
        put(root, {"apps/a.yaml": "1\n"})
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 1, "files": {"a": 1}}', '{"format": 1, "files": {"../a": {}}}']
)
def test_a_corrupt_manifest_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(NervError, match="corrupt"):
        put(tmp_path, {"a.yaml": "1\n"})


def test_a_newer_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"format": 2, "files": {}}')
    with pytest.raises(NervError, match="format 2"):
        put(tmp_path, {})


def test_manifests_are_read_as_they_were_written() -> None:
    text = '{"format": 1, "files": {"a": {"owner": "nerv", "sha256": "00"}, "b": {"owner": "user"}}}'
    made = Manifest.from_text(text)
    assert Manifest.from_text(made.text()) == made
