"""Layouts of machines that the flake is rendered for."""

from __future__ import annotations

from pathlib import Path

from nerv.components import definition
from nerv.components.catalog import Platform

_LAYOUTS = Path(__file__).parents[1] / "rendering" / "layouts"
LAYOUTS = sorted(path.stem for path in _LAYOUTS.glob("*.yaml"))


def layout(name: str) -> Platform:
    """The platform of a layout."""
    return definition.load(_LAYOUTS / f"{name}.yaml")
