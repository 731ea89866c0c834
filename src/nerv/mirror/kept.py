"""The folder of kept charts: archives, and `charts.json`, which says what each is and where it came from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from nerv.errors import NervError

Origin = Literal["repository", "folder", "stand-in"]
RECORD = "charts.json"


@dataclass(frozen=True)
class KeptChart:
    """What a chart version is on this machine. `digest` is the SHA-256 of the archive, `date` when it was kept."""

    origin: Origin
    digest: str
    file: str
    date: str = ""

    @classmethod
    def of(cls, origin: Origin, archive: bytes, name: str) -> KeptChart:
        """`archive` as kept now."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        digest = hashlib.sha256(archive).hexdigest()
        return cls(origin, digest, f"{name.removesuffix('.tgz')}.{digest[:12]}.tgz", now)


def read(kept: Path) -> dict[str, KeptChart]:
    """What is kept, by file name. Raises NervError for a damaged record."""
    try:
        told = json.loads((kept / RECORD).read_text(encoding="utf-8"))
        return {name: KeptChart(**entry) for name, entry in told.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        raise NervError(f"{kept / RECORD} is corrupt", f"remove {kept}; charts are resolved anew") from None


def keep(kept: Path, found: Mapping[str, tuple[Origin, bytes]]) -> dict[str, KeptChart]:
    """Keep archives by the name they are served under. Returns the whole record.

    Every archive has a file of its own, named by its digest, and the record is replaced last: a crash changes nothing.
    """
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = read(kept)
    for name, (origin, archive) in found.items():
        chart = KeptChart.of(origin, archive, name)
        _write(kept / chart.file, archive)
        record[name] = chart
    told = {name: asdict(chart) for name, chart in sorted(record.items())}
    _write(kept / RECORD, json.dumps(told, indent=1).encode())
    for path in kept.glob("*.tgz"):
        if path.name not in {chart.file for chart in record.values()}:
            path.unlink(missing_ok=True)
    return record


def verify(kept: Path, chart: KeptChart) -> bytes:
    """The archive. Raises NervError for one that is not what was kept."""
    path = kept / chart.file
    remedy = f"remove {kept}; charts are resolved anew"
    try:
        archive = path.read_bytes()
    except OSError as error:
        raise NervError(f"{path} cannot be read: {error.strerror}", remedy) from None
    if hashlib.sha256(archive).hexdigest() != chart.digest:
        raise NervError(f"{path} is not what was kept (digest differs)", remedy)
    return archive


def stamp(kept: Path) -> tuple[int, int] | None:
    """Changes whenever the record does."""
    try:
        info = (kept / RECORD).stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_ino


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, readable by this user alone."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    temporary.replace(path)
