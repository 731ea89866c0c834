"""Which archive a pinned chart is on this machine: resolved once, kept with its digest, never changed by being offline.

From the kept folder, else from the chart's own repository if that answers, else NERV's stand-in of the same name. What
is kept changes only when someone asks for it (`nerv charts pull|use`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

from nerv import documents
from nerv.builders.helm import charts as archives
from nerv.mirror import kept as keeping
from nerv.mirror import repositories
from nerv.mirror.config import ChartOrigin
from nerv.mirror.kept import KeptChart, Origin

_log = logging.getLogger(__name__)


async def resolve(charts: tuple[ChartOrigin, ...], kept: Path, *, offline: bool) -> dict[ChartOrigin, KeptChart]:
    """The archive of every chart, fetched or packed where it is not kept yet. Raises NervError for a damaged one."""
    record = keeping.read(kept)
    missing = [chart for chart in charts if chart.file_name not in record]
    if missing:
        async with asyncio.TaskGroup() as group:
            tasks = {chart: group.create_task(_find(chart, offline)) for chart in missing}
        record = keeping.keep(kept, {chart.file_name: task.result() for chart, task in tasks.items()})
    found = {chart: record[chart.file_name] for chart in charts}
    for chart in found.values():
        keeping.verify(kept, chart)
    return found


async def _find(chart: ChartOrigin, offline: bool) -> tuple[Origin, bytes]:
    if not offline:
        try:
            return "repository", await repositories.fetch(chart, repositories.BRIEF)
        except repositories.RepositoryError as error:
            _log.info("%s; using the stand-in", error)
    return "stand-in", await asyncio.to_thread(archives.package, chart.stand_in)


def index(charts: dict[ChartOrigin, KeptChart], repository: str, kept: Path) -> bytes:
    """`index.yaml` of one repository, as Helm reads it."""
    entries: dict[str, list[dict[str, object]]] = {}
    for chart, found in charts.items():
        if chart.repository.rstrip("/") != repository:
            continue
        metadata = archives.load((kept / found.file).read_bytes()).metadata
        entry = {**metadata, "digest": found.digest, "urls": [f"{repository}/{chart.file_name}"]}
        entries.setdefault(chart.name, []).append(entry)
    return documents.dump({"apiVersion": "v1", "entries": entries}).encode()


def of_folder(folder: Path) -> dict[tuple[str, str], bytes]:
    """Name and version of every chart in `folder` (archives and chart folders, or itself one) -> its archive.

    Raises ChartError for an archive or a folder that is no chart.
    """
    return {(chart.name, chart.version): chart.archive for chart in _charts_in(folder)}


def _charts_in(folder: Path) -> Iterable[archives.Chart]:
    for path in [folder] if _is_chart(folder) else sorted(folder.iterdir()):
        if _is_chart(path):
            yield archives.load(archives.package(path))
        elif path.name.endswith((".tgz", ".tar.gz")):
            try:
                yield archives.load(path.read_bytes())
            except archives.ChartError as error:
                raise archives.ChartError(f"{path}: {error.message}") from None


def _is_chart(path: Path) -> bool:
    return (path / "Chart.yaml").is_file()
