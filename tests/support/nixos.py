"""Layouts of machines that the flake is rendered for, and Nix's own programs to read it with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nerv.components import definition
from nerv.components.catalog import Platform

_LAYOUTS = Path(__file__).parents[1] / "rendering" / "layouts"
LAYOUTS = sorted(path.stem for path in _LAYOUTS.glob("*.yaml"))

needs_nix = pytest.mark.skipif(not shutil.which("nix-instantiate"), reason="needs nix-instantiate (Debian: nix-bin)")


def layout(name: str) -> Platform:
    """The platform of a layout."""
    return definition.load(_LAYOUTS / f"{name}.yaml")


def nix(text: str, *arguments: str) -> str:
    """What nix-instantiate says of the expression; it needs no store for that."""
    done = subprocess.run(
        ["nix-instantiate", *arguments, "-"],
        input=text,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "NIX_REMOTE": "dummy://"},
    )
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return done.stdout
