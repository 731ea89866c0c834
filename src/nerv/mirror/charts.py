"""Which archive a pinned chart is on this machine: resolved once, kept with its digest, never changed by being offline.

From the kept folder, else from the chart's own repository if that answers, else NERV's stand-in of the same name.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin

import aiohttp

from nerv import documents
from nerv.builders.helm import charts as archives
from nerv.errors import NervError
from nerv.mirror.config import ChartOrigin

_log = logging.getLogger(__name__)
_PATIENCE = aiohttp.ClientTimeout(total=4, connect=2)
_RECORD = "charts.json"


@dataclass(frozen=True)
class KeptChart:
    """What a chart version is here. `digest` is the SHA-256 of the archive."""

    origin: Literal["repository", "stand-in"]
    digest: str
    file: str


async def resolve(charts: tuple[ChartOrigin, ...], kept: Path, *, offline: bool) -> dict[ChartOrigin, KeptChart]:
    """The archive of every chart, fetched or packed where it is not kept yet. Raises NervError for a damaged one."""
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = _read(kept)
    missing = [chart for chart in charts if chart.file_name not in record]
    if missing:
        async with asyncio.TaskGroup() as group:
            tasks = {chart: group.create_task(_find(chart, offline)) for chart in missing}
        for chart, task in tasks.items():
            origin, archive = task.result()
            _write(kept / chart.file_name, archive)
            record[chart.file_name] = KeptChart(origin, hashlib.sha256(archive).hexdigest(), chart.file_name)
        _write(kept / _RECORD, json.dumps({n: asdict(k) for n, k in sorted(record.items())}, indent=1).encode())
    found = {chart: record[chart.file_name] for chart in charts}
    for resolved in found.values():
        _verify(kept, resolved)
    return found


async def _find(chart: ChartOrigin, offline: bool) -> tuple[Literal["repository", "stand-in"], bytes]:
    if not offline:
        try:
            return "repository", await _fetch(chart)
        except (aiohttp.ClientError, TimeoutError, NervError, OSError) as error:
            _log.info("%s does not give %s: %s; using the stand-in", chart.repository, chart.file_name, error)
    packed = await asyncio.to_thread(archives.package, chart.stand_in)
    return "stand-in", packed


async def _fetch(chart: ChartOrigin) -> bytes:
    base = chart.repository.rstrip("/") + "/"
    async with aiohttp.ClientSession(timeout=_PATIENCE, trust_env=True, raise_for_status=True) as session:
        async with session.get(urljoin(base, "index.yaml")) as answer:
            index = await asyncio.to_thread(documents.load, await answer.read())
        entries = (index.get("entries") or {}).get(chart.name) or []
        entry = next((entry for entry in entries if str(entry.get("version")) == chart.version), None)
        if entry is None:
            raise NervError(f"the index has no version {chart.version}")
        async with session.get(urljoin(base, entry["urls"][0])) as answer:
            archive = await answer.read()
    digest = str(entry.get("digest") or "")
    if digest and hashlib.sha256(archive).hexdigest() != digest:
        raise NervError("the archive is not what the index promises")
    return archive


def _read(kept: Path) -> dict[str, KeptChart]:
    try:
        told = json.loads((kept / _RECORD).read_text(encoding="utf-8"))
        return {name: KeptChart(**entry) for name, entry in told.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        raise NervError(f"{kept / _RECORD} is corrupt", f"remove {kept}; charts are resolved anew") from None


def _verify(kept: Path, chart: KeptChart) -> None:
    path = kept / chart.file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise NervError(
            f"{path} cannot be read: {error.strerror}", f"remove {kept}; charts are resolved anew"
        ) from None
    if digest != chart.digest:
        raise NervError(f"{path} is not what was kept (digest differs)", f"remove {kept}; charts are resolved anew")


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, readable by this user alone."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    temporary.replace(path)


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
