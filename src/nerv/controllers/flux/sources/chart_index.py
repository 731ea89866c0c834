"""The index of a chart repository: reading it, and finding a version in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from nerv import documents
from nerv.controllers.flux import versions
from nerv.errors import NervError

MAX_INDEX = 50 << 20
"""Bytes, source-controller's limit."""
MAX_CHART = 10 << 20
"""Bytes, source-controller's limit."""


class ChartIndexError(NervError):
    """A text that is no index, or a chart that is not in it."""


@dataclass(frozen=True)
class Entry:
    """One version of a chart. `url` is absolute, `digest` is hex of SHA-256 or empty."""

    name: str
    version: str
    url: str
    digest: str


def read(data: bytes) -> dict[str, Any]:
    """The index in a YAML or JSON text. Raises ChartIndexError."""
    try:
        index = documents.load_json(data) if data[:1] == b"{" else documents.load(data)
    except documents.DocumentError as error:
        raise ChartIndexError(f"error unmarshaling index: {error.message}") from None
    if not isinstance(index, dict) or not index.get("apiVersion"):
        raise ChartIndexError("no API version specified")
    return index


def find(index: Mapping[str, Any], repository: str, name: str, version: str) -> Entry:
    """The version that fits: an exact match first, else the newest of the range. Raises ChartIndexError."""
    entries = (index.get("entries") or {}).get(name)
    if not entries:
        raise ChartIndexError(f"no chart name found: no '{name}' chart found in {repository}")
    found = next((entry for entry in entries if entry.get("version") == version), None)
    if found is None:
        found = _newest(entries, name, version)
    urls = found.get("urls") or []
    if not urls:
        raise ChartIndexError(f"chart '{name}' has no downloadable URLs")
    url = urljoin(repository.rstrip("/") + "/", str(urls[0]))
    return Entry(name, str(found["version"]), url, str(found.get("digest") or "").removeprefix("sha256:"))


def _newest(entries: list[Mapping[str, Any]], name: str, version: str) -> Mapping[str, Any]:
    by_version = {str(entry.get("version")): entry for entry in entries}
    try:
        newest = versions.newest(list(by_version), version or "*")
    except versions.ConstraintError as error:
        raise ChartIndexError(str(error)) from None
    if newest is None:
        raise ChartIndexError(f"no '{name}' chart with version matching '{version}' found")
    return by_version[newest]
