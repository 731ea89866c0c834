"""Chart repositories as Helm reads them (https://helm.sh/docs/topics/chart_repository/): `index.yaml` and archives."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from urllib.parse import urljoin

import aiohttp

from nerv import documents
from nerv.builders.helm import charts as archives
from nerv.errors import NervError
from nerv.mirror.config import ChartOrigin

BRIEF = aiohttp.ClientTimeout(total=4, connect=2)
"""For a start that goes on without an answer."""
PATIENT = aiohttp.ClientTimeout(total=120, connect=10)
"""For someone who asked for the chart and waits."""


class RepositoryError(NervError):
    """A repository does not give a chart: it does not answer, or what it gives is not what it promises."""


async def fetch(chart: ChartOrigin, patience: aiohttp.ClientTimeout) -> bytes:
    """The archive of a chart version, checked against the index's digest. Raises RepositoryError."""
    base = chart.repository.rstrip("/") + "/"
    try:
        async with aiohttp.ClientSession(timeout=patience, trust_env=True, raise_for_status=True) as session:
            async with session.get(urljoin(base, "index.yaml")) as answer:
                index = await asyncio.to_thread(documents.load, await answer.read())
            entry = _entry(index, chart)
            async with session.get(urljoin(base, entry["urls"][0])) as answer:
                archive = await answer.read()
    except TimeoutError:
        raise RepositoryError(f"{chart.repository} does not answer within {patience.total:g} s") from None
    except (aiohttp.ClientError, documents.DocumentError, OSError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise RepositoryError(f"{chart.repository} does not give {chart.name} {chart.version}: {why}") from None
    digest = str(entry.get("digest") or "").removeprefix("sha256:")
    if digest and hashlib.sha256(archive).hexdigest() != digest:
        raise RepositoryError(
            f"{chart.repository}: the archive of {chart.name} {chart.version} is not what the index "
            "promises (digest differs)"
        )
    found = archives.load(archive)
    if (found.name, found.version) != (chart.name, chart.version):
        raise RepositoryError(
            f"{chart.repository}: the archive of {chart.name} {chart.version} holds {found.name} {found.version}"
        )
    return archive


def _entry(index: object, chart: ChartOrigin) -> Mapping[str, list[str]]:
    """What the index says of the version. Raises RepositoryError."""
    entries = index.get("entries") if isinstance(index, Mapping) else None
    versions = (entries or {}).get(chart.name) or []
    entry: Mapping[str, list[str]] | None = next(
        (each for each in versions if str(each.get("version")) == chart.version), None
    )
    if not entry or not entry.get("urls"):
        raise RepositoryError(f"{chart.repository} has no {chart.name} {chart.version} in its index")
    return entry


async def fetch_all(charts: Iterable[ChartOrigin]) -> tuple[dict[ChartOrigin, bytes], dict[ChartOrigin, str]]:
    """Every chart that its repository gives, and one line for each of the others."""
    wanted = tuple(charts)
    answers = await asyncio.gather(*(fetch(chart, PATIENT) for chart in wanted), return_exceptions=True)
    found: dict[ChartOrigin, bytes] = {}
    problems: dict[ChartOrigin, str] = {}
    for chart, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, NervError):
            problems[chart] = answer.message
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[chart] = answer
    return found, problems
