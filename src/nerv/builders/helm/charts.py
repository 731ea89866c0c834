"""Charts: reading an archive, packing a folder.

An archive is read here and not by the SDK because a release stores templates and files as bytes, and because packing
must give the same bytes for the same folder. Rules: https://helm.sh/docs/topics/charts/ and helm_ignore_file.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.errors import NervError

_MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
_METADATA = (
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
)
"""The fields of Chart.yaml that Helm knows, in the order of its struct (it decides digests)."""
_TEXTS = frozenset({"name", "version", "appVersion", "kubeVersion", "description", "condition", "tags", "type"})
MAX_SIZE = 100 * 1024 * 1024
"""Bytes a chart may unpack to (Helm's own limit)."""


class ChartError(NervError):
    """An archive or folder that is no chart."""


@dataclass(frozen=True)
class Chart:
    """A loaded chart; `archive` is the packed chart it came from."""

    archive: bytes = field(repr=False)
    metadata: Mapping[str, Any]
    """Chart.yaml with the fields that Helm knows, in Helm's order."""
    values: Mapping[str, Any] = field(repr=False)
    schema: bytes | None = field(repr=False)
    lock: Mapping[str, Any] | None = field(repr=False)
    templates: tuple[tuple[str, bytes], ...] = field(repr=False)
    files: tuple[tuple[str, bytes], ...] = field(repr=False)
    dependencies: tuple[Chart, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The chart's name."""
        return str(self.metadata.get("name", ""))

    @property
    def version(self) -> str:
        """The chart's version."""
        return str(self.metadata.get("version", ""))

    @property
    def app_version(self) -> str:
        """The version of what the chart installs, or an empty string."""
        return str(self.metadata.get("appVersion", ""))

    def crds(self) -> Iterator[tuple[str, bytes]]:
        """The manifests below `crds/`, this chart's first, then those of its dependencies, with their paths."""
        for path, data in self.files:
            if path.startswith("crds/") and path.endswith(_MANIFEST_SUFFIXES):
                yield path, data
        for dependency in self.dependencies:
            yield from dependency.crds()

    def with_version(self, version: str, archive: bytes) -> Chart:
        """The same chart under another version, packed as `archive`."""
        return Chart(
            archive,
            {**self.metadata, "version": version},
            self.values,
            self.schema,
            self.lock,
            self.templates,
            self.files,
            self.dependencies,
        )


def load(archive: bytes) -> Chart:
    """The chart in a packed archive. Raises ChartError."""
    return _chart(archive, dict(members(archive)))


def members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of an archive, their paths without the leading folder. Raises ChartError."""
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                path = member.name.replace("\\", "/").partition("/")[2]
                if not member.isfile() or not path or ".." in path.split("/"):
                    continue
                total += member.size
                if total > MAX_SIZE:
                    raise ChartError(f"chart unpacks to more than {MAX_SIZE >> 20} MiB")
                stream = tar.extractfile(member)
                yield path, stream.read() if stream else b""
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, OSError) as error:
        raise ChartError(f"not a chart archive: {error}") from None


def _chart(archive: bytes, files: Mapping[str, bytes]) -> Chart:
    if "Chart.yaml" not in files:
        raise ChartError("Chart.yaml file is missing")
    metadata = _metadata(_mapping(files["Chart.yaml"], "Chart.yaml"))
    if not metadata.get("name"):
        raise ChartError("validation: chart.metadata.name is required")
    if not metadata.get("version"):
        raise ChartError("validation: chart.metadata.version is required")
    known = {"Chart.yaml", "Chart.lock", "values.yaml", "values.schema.json"}
    templates = tuple((path, data) for path, data in files.items() if path.startswith("templates/"))
    rest = tuple(
        (path, data)
        for path, data in files.items()
        if path not in known and not path.startswith(("templates/", "charts/"))
    )
    lock = _mapping(files["Chart.lock"], "Chart.lock") if "Chart.lock" in files else None
    return Chart(
        archive,
        metadata,
        _mapping(files.get("values.yaml", b""), "values.yaml"),
        files.get("values.schema.json"),
        lock,
        templates,
        rest,
        tuple(_dependencies(files)),
    )


def _dependencies(files: Mapping[str, bytes]) -> Iterator[Chart]:
    folders: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        if not path.startswith("charts/"):
            continue
        inner = path.removeprefix("charts/")
        name, _, rest = inner.partition("/")
        if name.startswith(("_", ".")):
            continue
        if rest:
            folders.setdefault(name, {})[rest] = data
        elif name.endswith((".tgz", ".tar.gz")):
            yield load(data)
    for inside in folders.values():
        yield _chart(b"", inside)


def _mapping(data: bytes, path: str) -> dict[str, Any]:
    try:
        value = documents.load(data)
    except documents.DocumentError as error:
        raise ChartError(f"cannot load {path}: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ChartError(f"cannot load {path}: it is not a mapping")
    return value


def _metadata(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields that say something, in Helm's order; numbers where Helm has text become text."""
    kept = {name: raw[name] for name in _METADATA if raw.get(name)}
    for name in _TEXTS & kept.keys():
        kept[name] = _as_text(kept[name])
    if "annotations" in kept:
        kept["annotations"] = {key: _as_text(value) for key, value in kept["annotations"].items()}
    return kept


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def package(folder: Path, *, version: str = "", app_version: str = "") -> bytes:
    """Pack a chart folder: what .helmignore leaves, sorted, without times, so that equal folders give equal bytes.

    `version` and `app_version` replace those of Chart.yaml. Raises ChartError.
    """
    if not (folder / "Chart.yaml").is_file():
        raise ChartError(f"{folder} is no chart: it has no Chart.yaml")
    ignored = _rules(folder)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_ignored(path.relative_to(folder).as_posix(), ignored)
    }
    changes = {name: text for name, text in (("version", version), ("appVersion", app_version)) if text}
    if changes:
        changed = {**_mapping(files["Chart.yaml"], "Chart.yaml"), **changes}
        files["Chart.yaml"] = documents.dump(changed).encode()
    name = _chart(b"", files).name
    return pack(name, files)


def pack(name: str, files: Mapping[str, bytes], *, level: int = 9) -> bytes:
    """An archive of a chart's files, Chart.yaml first as Helm writes it."""
    buffer = io.BytesIO()
    # the fields of gzip and tar that would tell when and where it was packed are all zero
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=level, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in sorted(files, key=lambda each: (each != "Chart.yaml", each)):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(files[path])
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(files[path]))
    return buffer.getvalue()


def _rules(folder: Path) -> list[str]:
    path = folder / ".helmignore"
    lines = path.read_text().splitlines() if path.is_file() else []
    return ["templates/.?*", *(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))]


def _is_ignored(path: str, rules: list[str]) -> bool:
    """Whether a rule meets the file or one of the folders it lies in."""
    parts = path.split("/")
    prefixes = [("/".join(parts[:count]), count < len(parts)) for count in range(1, len(parts) + 1)]
    return any(_matches(prefix, is_folder, rule) for rule in rules for prefix, is_folder in prefixes)


def _matches(path: str, is_folder: bool, rule: str) -> bool:
    negated = rule.startswith("!")
    pattern = rule.removeprefix("!")
    if pattern.endswith("/"):
        if not is_folder:
            return False
        pattern = pattern.rstrip("/")
    if "/" in pattern:
        parts, patterns = path.split("/"), pattern.lstrip("/").split("/")
        met = len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))
    else:
        met = fnmatch.fnmatchcase(path.rsplit("/", 1)[-1], pattern)
    return met != negated
