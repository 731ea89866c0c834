"""Nix's own parser, where it is installed: the last word on the text of modules."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from nerv import process
from nerv.errors import Problem, ProcessError

_SAID = re.compile(r"^error: (.+)$", re.MULTILINE)
_PLACE = re.compile(r"^\s+at (.+?):(\d+):(\d+):", re.MULTILINE)


def parsed(root: Path, files: Iterable[str]) -> list[Problem]:
    """What nix-instantiate says of the files below `root`: the first thing that is wrong; nothing without Nix."""
    program = shutil.which("nix-instantiate")
    paths = [str(root / path) for path in files]
    if program is None or not paths:
        return []
    try:
        # one process for all files; the dummy store needs no daemon and no /nix
        process.run_sync([program, "--parse", *paths], env={"NIX_REMOTE": "dummy://"})
    except ProcessError as error:
        return [_problem(root, error.output)]
    return []


def _problem(root: Path, said: str) -> Problem:
    message, place = _SAID.search(said), _PLACE.search(said)
    if not message or not place:
        last = said.splitlines()[-1] if said else "no output"
        return Problem("nixos", 0, 0, f"nix-instantiate could not read the modules: {last}", severity="note")
    path, line, column = place.groups()
    shown = message[1].replace(f"{root}/", "")
    return Problem(path.removeprefix(f"{root}/"), int(line), int(column), f"Nix refuses it: {shown}")
