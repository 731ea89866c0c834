"""An unpacked artifact: files below one root, parsed once and shared by all that build from it."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.builders.kustomize.errors import BuildError, PathError

KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


class Sources:
    """The files of one revision. Nothing outside of `root` is ever read.

    Parsed files are kept by content: `previous`, the sources of the revision before, hands its unchanged files on, so a
    commit costs what it changes. Documents are shared: never mutate them. Safe to use from several threads.
    """

    def __init__(self, root: Path, previous: Sources | None = None) -> None:
        self.root = root.resolve()
        self._parsed: dict[str, list[Any]] = {}
        self._inherited = dict(previous._parsed) if previous else {}
        self._lock = threading.Lock()

    def folder(self, path: str) -> Path:
        """The folder of `spec.path`, which never leads out of the root. Raises PathError."""
        parts = [part for part in Path("/", path).parts[1:] if part != "."]
        clean: list[str] = []
        for part in parts:
            # `..` stops at the root, as it does for kustomize-controller
            clean = clean[:-1] if part == ".." else [*clean, part]
        found = self.root.joinpath(*clean)
        if not self.contains(found) or not found.is_dir():
            shown = "/".join(clean)
            raise PathError(f"kustomization path not found: stat {shown}: no such file or directory")
        return found

    def contains(self, path: Path) -> bool:
        """Whether the path, links followed, lies in the root."""
        resolved = path.resolve()
        return resolved == self.root or self.root in resolved.parents

    def name(self, path: Path) -> str:
        """The path as messages show it: from the root."""
        return str(path.relative_to(self.root)) if path != self.root else "."

    def text(self, path: Path) -> bytes:
        """The bytes of a file. Raises BuildError when it lies outside, OSError when it cannot be read."""
        if not self.contains(path):
            raise BuildError(f"kustomize build failed: {path.name} leads out of the artifact")
        return path.read_bytes()

    def documents(self, path: Path) -> list[Any]:
        """The YAML documents of a file. Raises documents.DocumentError, BuildError, OSError."""
        text = self.text(path)
        digest = hashlib.sha256(text).hexdigest()
        with self._lock:
            known = self._parsed.get(digest) or self._inherited.get(digest)
        if known is None:
            known = documents.load_all(text)
        with self._lock:
            self._parsed[digest] = known
        return known

    def kustomization(self, folder: Path) -> Path | None:
        """The folder's kustomization file, if it has one."""
        return next((folder / name for name in KUSTOMIZATION_FILES if (folder / name).is_file()), None)
