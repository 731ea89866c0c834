"""Every wrong definition says exactly this; every right one is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import golden

from nerv.components import definition
from nerv.errors import ProblemsError

HERE = Path(__file__).parent
INVALID = sorted((HERE / "invalid").glob("*.yaml"))
VALID = sorted((HERE / "valid").glob("*.yaml"))


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_every_problem_of_a_wrong_definition(path: Path) -> None:
    with pytest.raises(ProblemsError) as raised:
        definition.load(path)
    golden.check_text(path.with_suffix(".txt"), "\n".join(raised.value.lines()) + "\n")


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_right_definitions(path: Path) -> None:
    loaded = definition.load(path)
    assert definition.load(path) == loaded
    assert loaded.name == "home"


def test_there_are_enough_examples_of_each() -> None:
    assert len(INVALID) >= 25
    assert len(VALID) >= 8
