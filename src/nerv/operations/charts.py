"""Charts on this machine: which archive each chart version is, where it came from, and how that is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nerv.builders.helm import charts as archives
from nerv.errors import NervError, Problem, ProblemsError
from nerv.mirror import ChartOrigin, charts, kept, repositories
from nerv.mirror.kept import KeptChart, Origin
from nerv.operations import folder as folders
from nerv.operations import plan as plans
from nerv.operations.folder import PlatformFolder


@dataclass(frozen=True)
class ChartRow:
    """A chart version that the platform uses; `origin` is "" until it is resolved."""

    name: str
    version: str
    repository: str
    origin: str
    digest: str
    date: str


def rows(folder: PlatformFolder) -> list[ChartRow]:
    """Every chart of the platform. Raises NervError."""
    record = kept.read(_place(folder))
    return [_row(chart, record.get(chart.file_name)) for chart in plans.load(folder).charts]


async def pull(folder: PlatformFolder, names: Sequence[str]) -> list[ChartRow]:
    """Keep the charts `names` (none: all) as their repositories give them; nothing changes when one does not.

    Raises ProblemsError with a line for each chart that could not be had.
    """
    wanted = _named(folder, names)
    found, problems = await repositories.fetch_all(wanted)
    if problems:
        hint = "nothing was changed; offline, `nerv charts use FOLDER` takes charts that you have"
        raise ProblemsError([Problem(chart.name, 0, 0, line, hint) for chart, line in problems.items()])
    return _keep(folder, {chart: ("repository", archive) for chart, archive in found.items()})


def use_folder(folder: PlatformFolder, given: Path) -> tuple[list[ChartRow], list[str]]:
    """Keep the charts that stand in `given`; also a line for each there that the platform does not use.

    Raises NervError when none is of use, or one is no chart.
    """
    if not given.is_dir():
        raise NervError(f"{given} is no folder", "give one that holds charts: .tgz files or chart folders")
    pinned = {(chart.name, chart.version): chart for chart in plans.load(folder).charts}
    there = charts.of_folder(given)
    unused = [_unused(name, version, tuple(pinned)) for name, version in sorted(there.keys() - pinned.keys())]
    taken: dict[ChartOrigin, tuple[Origin, bytes]] = {
        pinned[key]: ("folder", archive) for key, archive in there.items() if key in pinned
    }
    if not taken:
        wanted = ", ".join(f"{name} {version}" for name, version in pinned)
        raise NervError("; ".join([f"{given} holds no chart that the platform uses", *unused]), f"it uses {wanted}")
    return _keep(folder, taken), unused


async def use_stand_ins(folder: PlatformFolder, names: Sequence[str]) -> list[ChartRow]:
    """Keep NERV's own stand-ins for the charts `names` (none: all)."""
    wanted = _named(folder, names)
    packed = [await asyncio.to_thread(archives.package, chart.stand_in) for chart in wanted]
    return _keep(folder, {chart: ("stand-in", archive) for chart, archive in zip(wanted, packed, strict=True)})


def _keep(folder: PlatformFolder, found: dict[ChartOrigin, tuple[Origin, bytes]]) -> list[ChartRow]:
    folders.open_state(folder)
    record = kept.keep(_place(folder), {chart.file_name: given for chart, given in found.items()})
    return [_row(chart, record[chart.file_name]) for chart in found]


def _place(folder: PlatformFolder) -> Path:
    return folder.state / "charts"


def _named(folder: PlatformFolder, names: Sequence[str]) -> tuple[ChartOrigin, ...]:
    pinned = plans.load(folder).charts
    unknown = sorted(set(names) - {chart.name for chart in pinned})
    if unknown:
        known = ", ".join(chart.name for chart in pinned)
        raise NervError(f"the platform has no chart {', '.join(unknown)}", f"it has {known}")
    return tuple(chart for chart in pinned if not names or chart.name in names)


def _row(chart: ChartOrigin, found: KeptChart | None) -> ChartRow:
    origin, digest, date = (found.origin, found.digest, found.date) if found else ("", "", "")
    return ChartRow(chart.name, chart.version, chart.repository, origin, digest, date)


def _unused(name: str, version: str, pinned: tuple[tuple[str, str], ...]) -> str:
    pin = next((theirs for own, theirs in pinned if own == name), None)
    return f"{name} {version} is not used" + (f": the platform pins {pin}" if pin else "")
