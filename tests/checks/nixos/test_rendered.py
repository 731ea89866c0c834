"""Whatever layout of machines a definition has: nothing is wrong with what is rendered for it, and Nix says so too."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.nix import evaluated, needs_nix
from tests.support.nixos import LAYOUTS, layout
from tests.support.trees import seen, whole

from nerv.checks.nixos import proof


@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_is_wrong_and_nothing_unknown(name: str) -> None:
    platform = layout(name)
    found = list(proof.hosts(platform, seen(whole(platform))))
    # but that nobody's key is in it yet, where that is so
    assert [f"{problem}" for problem in found if problem.severity != "undeployable"] == []


@needs_nix
@pytest.mark.parametrize("name", LAYOUTS)
def test_real_nix_finds_nothing_either(name: str, tmp_path: Path) -> None:
    platform = layout(name)
    hosts = evaluated(whole(platform), tmp_path)
    assert {host: told["errors"] for host, told in hosts.items()} == {node.name: [] for node in platform.spec.nodes}
