"""Programs that the user has already: taken from a folder as they are, with the version that they say of themselves."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from nerv import process
from nerv.engines.upstream import binaries, catalog
from nerv.engines.upstream.building import Report, Step
from nerv.engines.upstream.catalog import Source
from nerv.engines.upstream.store import Store, remove_tree
from nerv.errors import NervError

_MAIN = re.compile(r"^mod\t\S+\t(v\S+)", re.MULTILINE)
_SAID = re.compile(r"\bv?(\d+\.\d+\.\d+[\w.+-]*)")
_ANSWERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Programs that know `--version`."""


async def take(store: Store, folder: Path, report: Report) -> None:
    """Copy every program of the engine out of `folder`. Raises NervError with all that is missing, nothing taken.

    All are copied and asked for their versions before the first of them takes the place of another.
    """
    absent = [name for name in catalog.PROGRAMS if not _is_program(folder / name)]
    if absent:
        raise NervError(f"{folder} lacks {', '.join(absent)}", "it must hold every program of the engine, executable")
    copies = [(source, store.folder / f".{source.program}.new") for source in catalog.SOURCES]
    try:
        unfit = [f"{name} {why}" for name in catalog.PROGRAMS if (why := binaries.unfit(folder / name))]
        if unfit:
            hint = "nothing was taken: it must hold whole programs for here"
            raise NervError(f"of {folder}: {', '.join(unfit)}", hint)
        with store.held():
            store.folder.mkdir(mode=0o700, exist_ok=True)
            try:
                await _exchange(store, folder, copies, report)
            finally:
                for _, copy in copies:
                    copy.unlink(missing_ok=True)
            remove_tree(store.build_folder)
    except OSError as error:
        place = error.filename or store.folder
        hint = "what was there before is kept; run it again"
        raise NervError(f"the programs were not taken: {place}: {error.strerror or error}", hint) from None


async def _exchange(store: Store, folder: Path, copies: Sequence[tuple[Source, Path]], report: Report) -> None:
    versions = {}
    for number, (source, copy) in enumerate(copies, 1):
        report(Step(number, len(copies), source))
        shutil.copyfile(folder / source.program, copy)
        copy.chmod(0o755)
        versions[source.program] = await version_of(copy, source.program)
    for number, (source, copy) in enumerate(copies, 1):
        origin = str(folder.absolute() / source.program)
        built = store.add(
            source.program, copy, version=versions[source.program], origin=origin, toolchain="", seconds=0
        )
        report(Step(number, len(copies), source, built))


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


async def version_of(path: Path, program: str) -> str:
    """The module version that Go has written into the program, else what it answers, else "unknown"."""
    if found := _MAIN.search(binaries.build_information(path)):
        return found[1]
    if program in _ANSWERS:
        try:
            done = await process.run([str(path), "--version"], check=False, timeout=10)
        except NervError:
            return "unknown"
        if said := _SAID.search(done.stdout):
            return f"v{said[1]}"
    return "unknown"
