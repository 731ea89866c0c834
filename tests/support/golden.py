"""Golden files: what is made is compared with what is kept. NERV_UPDATE_GOLDEN=1 keeps what is made instead."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

UPDATE = os.environ.get("NERV_UPDATE_GOLDEN") == "1"


def check_text(path: Path, made: str) -> None:
    """`made` is what `path` holds."""
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made, encoding="utf-8")
    assert path.exists(), f"{path} is missing; NERV_UPDATE_GOLDEN=1 writes it"
    assert made == path.read_text(encoding="utf-8")


def check_tree(folder: Path, made: Mapping[str, str]) -> None:
    """`made` is exactly the files below `folder`."""
    if UPDATE:
        for path in _files(folder) - made.keys():
            (folder / path).unlink()
    for path, text in made.items():
        check_text(folder / path, text)
    assert _files(folder) == set(made)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
