import io
import tarfile
from pathlib import Path

import pytest

from nerv.builders import archives


def _archive(*entries: tuple[str, bytes, bytes]) -> tarfile.TarFile:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return tarfile.open(fileobj=io.BytesIO(written.getvalue()))


def test_folders_and_files_are_written_and_links_are_not(tmp_path: Path) -> None:
    archive = _archive(
        ("empty", tarfile.DIRTYPE, b""),
        ("a/b.yaml", tarfile.REGTYPE, b"x: 1\n"),
        ("link", tarfile.SYMTYPE, b""),
        ("hard", tarfile.LNKTYPE, b""),
    )
    with archive:
        archives.unpack(archive, tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "a/b.yaml", "empty"]
    assert (tmp_path / "a/b.yaml").read_bytes() == b"x: 1\n"


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with _archive((name, tarfile.REGTYPE, b"x")) as archive, pytest.raises(tarfile.TarError, match="leads out"):
        archives.unpack(archive, tmp_path / "in")
    assert not (tmp_path / "out").exists()


def test_nothing_asks_for_what_the_oldest_python_lacks() -> None:
    """`filter=` of tarfile came with 3.11.4; the tests may run on a newer Python than Debian's."""
    sources = Path(archives.__file__).parents[1]
    for path in sources.rglob("*.py"):
        text = path.read_text()
        assert 'filter="data"' not in text, path
