"""Every example runs as it stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home

pytestmark = [pytest.mark.timeout(300)]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("name", "nodes", "pods"), [("nerv", 1, 31), ("many-nodes", 5, 53)])
def test_an_example_becomes_healthy(tmp_path: Path, name: str, nodes: int, pods: int) -> None:
    home = Home.at(tmp_path, name)
    shutil.copytree(EXAMPLES / name, home.folder)
    home.nerv("init", str(home.folder))
    with commands.up(home):
        status = home.status()
        assert status["healthy"], status["waiting"]
        assert len(status["nodes"]) == nodes
        assert len(status["pods"]) == pods


def test_every_example_is_run() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} == {"nerv", "many-nodes"}
