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
    platform = platforms.example(name)
    golden.check_tree(GOLDEN / name, tree(platform, platforms.public(platform)))


@pytest.mark.parametrize("name", NAMES)
def test_rendering_twice_gives_the_same_bytes(name: str) -> None:
    platform = platforms.example(name)
    first = tree(platform, platforms.public(platform))
    again = platforms.example(name)
    assert list(first.items()) == list(tree(again, platforms.public(again)).items())
