"""What rendering would change in a repository: pure comparison of tree, manifest and what stands on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nerv.errors import Problem
from nerv.rendering import cluster
from nerv.rendering.folders import Tree
from nerv.rendering.manifest import Entry, Manifest, digest


@dataclass(frozen=True)
class Changes:
    """What has to be done so that the repository is what the definition says."""

    write: Tree
    """New contents by path."""
    remove: tuple[str, ...]
    """Files that NERV wrote and that are no longer rendered."""
    refused: tuple[Problem, ...]
    """Files that NERV must not touch: edited by hand, or never written by it."""
    manifest: Manifest
    """The manifest after the change."""

    def lines(self) -> list[str]:
        """What differs, one line a file, sorted by path."""
        told = {path: f"{path}: would be written" for path in self.write}
        told |= {path: f"{path}: would be removed" for path in self.remove}
        return [told[path] for path in sorted(told)]


def compare(
    tree: Tree, before: Manifest, disk: Mapping[str, str], encrypted: tuple[str, ...] = (), *, force: bool = False
) -> Changes:
    """Compare what is rendered with what is there. `disk` holds digests of existing files, of every path in question;
    `encrypted` are the files that sops writes for NERV.

    With `force`, what was edited by hand is written over; what NERV never wrote is refused even so.
    """
    write: Tree = {}
    refused: list[Problem] = []
    after: dict[str, Entry] = {}
    for path, text in tree.items():
        known, found, wanted = before.files.get(path), disk.get(path), digest(text)
        if known is not None and known.owner == "user":
            after[path] = known
            continue
        flux = cluster.flux_owned(path)
        after[path] = Entry("flux" if flux else "nerv", wanted)
        if found == wanted:
            continue
        if found is None or (known is not None and found == known.sha256):
            write[path] = text
        elif known is None:
            hint = "move it away, or add it to what NERV leaves alone with `nerv eject`"
            refused.append(Problem(path, 0, 0, "exists and was not written by NERV", hint))
        elif flux:
            after[path] = known  # Flux wrote its own version; it stays
        elif force:
            write[path] = text
        else:
            refused.append(_edited(path))
    after |= {path: Entry("sops") for path in encrypted}
    remove = _remove({*tree, *encrypted}, before, disk, refused, force=force)
    kept = {path: entry for path, entry in before.files.items() if entry.owner == "user" and path not in after}
    return Changes(write, remove, tuple(refused), Manifest(after | kept))


def _remove(
    wanted: set[str], before: Manifest, disk: Mapping[str, str], refused: list[Problem], *, force: bool
) -> tuple[str, ...]:
    gone: list[str] = []
    for path, entry in before.files.items():
        if path in wanted or path not in disk or entry.owner == "user":
            continue
        if entry.owner == "nerv" and disk[path] != entry.sha256 and not force:
            refused.append(_edited(path))
        else:
            gone.append(path)
    return tuple(gone)


def _edited(path: str) -> Problem:
    hint = f"put the change into nerv.yaml, or `nerv eject {path}` to own it; `nerv render --force` discards the edit"
    return Problem(path, 0, 0, "edited by hand", hint)
