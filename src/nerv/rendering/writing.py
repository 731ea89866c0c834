"""Putting changes on disk: all or nothing, and never outside the repository.

New contents are staged in `.nerv/` first, so a full disk or a missing right is met before the first file changes;
renames follow, and are undone when one of them fails. The manifest goes last: a run that was killed in between is
completed by the next, since a file that already is what is rendered counts as NERV's.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nerv.errors import NervError, ProblemsError
from nerv.rendering import changes, manifest
from nerv.rendering.changes import Changes
from nerv.rendering.folders import Tree
from nerv.rendering.manifest import Manifest

STATE = ".nerv"


def read_manifest(root: Path) -> Manifest:
    """The manifest of the repository, empty where there is none. Raises NervError for one that is not readable."""
    try:
        return Manifest.from_text((root / manifest.FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Manifest()
    except (OSError, UnicodeDecodeError):
        raise NervError(f"{root / manifest.FILE} cannot be read") from None


def plan(root: Path, tree: Tree, encrypted: Iterable[str] = (), *, force: bool = False) -> Changes:
    """What would have to be done. Raises NervError when a file cannot be read."""
    before = read_manifest(root)
    disk = digests(root, {*tree, *before.files})
    return changes.compare(tree, before, disk, tuple(encrypted), force=force)


def digests(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Digest of each of `paths` that exists. Raises NervError when one cannot be read."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            found[path] = manifest.digest((root / path).read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NervError(f"{root / path} cannot be read: {error.strerror}") from None
    return found


def apply(root: Path, planned: Changes, more: Mapping[str, str] | None = None) -> None:
    """Carry the changes out, and before them those of `more` files: definition and encrypted ones, which no manifest
    has a hash of.

    Raises ProblemsError for what is refused, NervError when the folder cannot be written.
    """
    if planned.refused:
        raise ProblemsError(list(planned.refused))
    # the manifest goes last: until then, what it says of the files is still true or healed by the next run
    steps: dict[str, str | None] = {**(more or {}), **planned.write, **dict.fromkeys(planned.remove)}
    text = planned.manifest.text()
    if digests(root, (manifest.FILE,)).get(manifest.FILE) != manifest.digest(text):
        steps[manifest.FILE] = text
    if steps:
        replace(root, steps)


def replace(root: Path, steps: Mapping[str, str | None]) -> None:
    """Write files under `root` (None: remove), in this order, all or none. Raises NervError when that fails."""
    try:
        (root / STATE).mkdir(mode=0o700, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=root / STATE))
    except OSError as error:
        hint = "choose a folder that you may write to"
        raise NervError(f"{root} cannot be written: {error.strerror}", hint) from None
    try:
        for number, text in enumerate(steps.values()):
            if text is not None:
                (staging / str(number)).write_text(text, encoding="utf-8")
        _switch(root, staging, steps)
    except OSError as error:
        raise NervError(f"{error.filename or root} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _switch(root: Path, staging: Path, steps: Mapping[str, str | None]) -> None:
    undo: list[tuple[Path, Path | None]] = []
    try:
        for number, (path, text) in enumerate(steps.items()):
            target = _inside(root, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            backup = staging / f"{number}.old" if target.exists() else None
            if backup:
                shutil.copy2(target, backup)
            undo.append((target, backup))
            if text is None:
                target.unlink(missing_ok=True)
            else:
                (staging / str(number)).replace(target)
    except OSError:
        for target, backup in reversed(undo):
            if backup:
                backup.replace(target)
            else:
                target.unlink(missing_ok=True)
        raise
    for path, text in steps.items():
        if text is None:
            _remove_empty(root, (root / path).parent)


def _inside(root: Path, path: str) -> Path:
    """The place of `path`. Raises NervError when a symbolic link leads out of the repository."""
    target = root / path
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise NervError(f"{target} leads out of the repository", "remove the symbolic link")
    return target


def _remove_empty(root: Path, folder: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
