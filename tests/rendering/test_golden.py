"""The whole rendered repository of every example, byte for byte (NERV_UPDATE_GOLDEN=1 keeps what is rendered)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import golden, platforms

from nerv.rendering.tree import tree

GOLDEN = Path(__file__).parents[1] / "golden" / "rendered"
NAMES = sorted(path.name for path in platforms.EXAMPLES.iterdir() if (path / "nerv.yaml").exists())


@pytest.mark.parametrize("name", NAMES)
def test_examples_render_to_what_is_kept(name: str) -> None:
    golden.check_tree(GOLDEN / name, tree(platforms.example(name), platforms.RECIPIENTS))


@pytest.mark.parametrize("name", NAMES)
def test_rendering_twice_gives_the_same_bytes(name: str) -> None:
    first = tree(platforms.example(name), platforms.RECIPIENTS)
    assert list(first.items()) == list(tree(platforms.example(name), platforms.RECIPIENTS).items())
