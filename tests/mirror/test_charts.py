"""Chart versions are resolved once and change only on request; repositories are loopback servers that misbehave."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerv import documents
from nerv.builders.helm import charts as archives
from nerv.errors import NervError
from nerv.http.messages import Request, Response
from nerv.http.server import listen
from nerv.mirror import ChartOrigin, charts, kept, repositories

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    return _chart(tmp_path / "stand-in", "NERV's own")


def _chart(folder: Path, text: str, version: str = "1.2.3") -> Path:
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: web\nversion: {version}\n")
    (folder / "templates" / "NOTES.txt").write_text(text)
    return folder


@asynccontextmanager
async def _repository(archive: bytes, digest: str = "", version: str = "1.2.3") -> AsyncIterator[str]:
    """The URL of a chart repository with one chart."""
    entry = {"name": "web", "version": version, "urls": ["web.tgz"], "digest": digest or _digest(archive)}
    index = documents.dump({"apiVersion": "v1", "entries": {"web": [entry]}}).encode()

    def handle(request: Request) -> Response:
        return Response(200, index if request.path.endswith("index.yaml") else archive, "application/octet-stream")

    server = await listen(handle, host="127.0.0.1", port=0)
    yield f"http://127.0.0.1:{server.port}/stable"
    await server.close()


def _digest(archive: bytes) -> str:
    return hashlib.sha256(archive).hexdigest()


async def test_a_repository_that_answers_comes_before_the_stand_in(tmp_path: Path, stand_in: Path) -> None:
    real = archives.package(_chart(tmp_path / "real", "the real one"))
    async with _repository(real) as url:
        chart = ChartOrigin(url, "web", "1.2.3", stand_in)
        found = (await charts.resolve((chart,), tmp_path / "kept", offline=False))[chart]
    assert (found.origin, found.digest) == ("repository", _digest(real))
    assert kept.verify(tmp_path / "kept", found) == real


async def test_what_was_resolved_once_stays_whether_the_repository_answers_or_not(
    tmp_path: Path, stand_in: Path
) -> None:
    real = archives.package(_chart(tmp_path / "real", "the real one"))
    chart = ChartOrigin(NOWHERE, "web", "1.2.3", stand_in)
    before = await charts.resolve((chart,), tmp_path / "kept", offline=True)
    assert before[chart].origin == "stand-in"
    async with _repository(real) as url:
        again = ChartOrigin(url, "web", "1.2.3", stand_in)
        after = await charts.resolve((again,), tmp_path / "kept", offline=False)
    assert list(after.values()) == list(before.values())


async def test_a_repository_that_does_not_answer_is_named(stand_in: Path) -> None:
    with pytest.raises(repositories.RepositoryError, match=r"127\.0\.0\.1:9 does not give web 1\.2\.3: "):
        await repositories.fetch(ChartOrigin(NOWHERE, "web", "1.2.3", stand_in), repositories.BRIEF)


@pytest.mark.parametrize(
    ("digest", "version", "packed", "words"),
    [
        ("0" * 64, "1.2.3", "1.2.3", "not what the index promises"),
        ("", "9.9.9", "1.2.3", "has no web 1.2.3 in its index"),
        ("", "1.2.3", "4.5.6", "holds web 4.5.6"),
    ],
)
async def test_what_a_repository_gives_is_checked(
    tmp_path: Path, stand_in: Path, digest: str, version: str, packed: str, words: str
) -> None:
    archive = archives.package(_chart(tmp_path / "real", "real", packed))
    async with _repository(archive, digest, version) as url:
        found, problems = await repositories.fetch_all([ChartOrigin(url, "web", "1.2.3", stand_in)])
    assert not found
    assert words in next(iter(problems.values()))


def test_archives_and_chart_folders_are_taken_and_packed_alike(tmp_path: Path) -> None:
    folder = _chart(tmp_path / "given" / "web", "text")
    packed = archives.package(folder)
    assert charts.of_folder(tmp_path / "given") == {("web", "1.2.3"): packed}
    assert charts.of_folder(folder) == {("web", "1.2.3"): packed}
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "web.tgz").write_bytes(packed)
    (tmp_path / "archives" / "README.md").write_text("no chart")
    assert charts.of_folder(tmp_path / "archives") == {("web", "1.2.3"): packed}


def test_an_archive_that_is_no_chart_is_named(tmp_path: Path) -> None:
    (tmp_path / "web.tgz").write_bytes(b"no archive")
    with pytest.raises(archives.ChartError, match=r"web\.tgz: not a chart archive"):
        charts.of_folder(tmp_path)


def test_a_damaged_record_says_the_remedy(tmp_path: Path) -> None:
    (tmp_path / kept.RECORD).write_text("{")
    with pytest.raises(NervError, match="corrupt") as caught:
        kept.read(tmp_path)
    assert caught.value.hint == f"remove {tmp_path}; charts are resolved anew"


@given(st.lists(st.tuples(st.sampled_from(["a-1.tgz", "b-2.tgz"]), st.binary(max_size=20)), max_size=6))
def test_the_record_always_tells_the_newest_archives_and_no_other_is_left(
    steps: list[tuple[str, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, archive in steps:
            kept.keep(folder, {file: ("folder", archive)})
        newest = dict(steps)
        record = kept.read(folder)
        assert {file: kept.verify(folder, chart) for file, chart in record.items()} == newest
        assert len(list(folder.glob("*.tgz"))) == len(newest)
