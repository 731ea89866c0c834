"""nerv-manifest.json: which files of the repository NERV wrote, and the hash of what it wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from nerv import documents
from nerv.errors import NervError

FILE = "nerv-manifest.json"
_FORMAT = 1

Owner = Literal["nerv", "flux", "sops", "user"]
"""nerv: rendered; flux: rendered, Flux may rewrite it; sops: encrypted, sops rewrites it; user: ejected."""


@dataclass(frozen=True)
class Entry:
    """A file in the manifest."""

    owner: Owner
    sha256: str = ""
    """Hash of what NERV wrote; empty where contents are not NERV's to compare (sops, user)."""


@dataclass(frozen=True)
class Manifest:
    """Files by path."""

    files: Mapping[str, Entry] = field(default_factory=dict)

    def text(self) -> str:
        """The manifest as it stands in the repository."""
        listed = {
            path: {"owner": entry.owner} | ({"sha256": entry.sha256} if entry.sha256 else {})
            for path, entry in sorted(self.files.items())
        }
        return documents.dump_json({"format": _FORMAT, "files": listed}, indent=True).decode() + "\n"

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """Raises NervError for what is not a manifest, or a newer one."""
        wrong = NervError(f"{FILE} is corrupt", "take it from Git: `git checkout nerv-manifest.json`")
        try:
            read = documents.load_json(text)
        except documents.DocumentError:
            raise wrong from None
        if not isinstance(read, dict) or not isinstance(read.get("files"), dict):
            raise wrong
        if read.get("format") != _FORMAT:
            raise NervError(f"{FILE} has format {read.get('format')}, this NERV knows {_FORMAT}", "use a newer NERV")
        try:
            files = {
                str(path): Entry(cast(Owner, entry["owner"]), str(entry.get("sha256", "")))
                for path, entry in read["files"].items()
            }
        except (TypeError, KeyError, AttributeError):
            raise wrong from None
        if any(path.startswith("/") or ".." in path.split("/") for path in files):
            raise wrong
        return cls(files)


def digest(text: str | bytes) -> str:
    """SHA-256 of a file's contents."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
