"""Nix's own parser as a check: right files say nothing, a wrong one is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.nix import needs_nix

from nerv.checks import nix_parser


@needs_nix
def test_what_nix_refuses_has_a_place(tmp_path: Path) -> None:
    (tmp_path / "a.nix").write_text("{ a = 1; }\n")
    (tmp_path / "b.nix").write_text("{\n  a = 1;\n  a = 2;\n}\n")
    assert nix_parser.parsed(tmp_path, ["a.nix"]) == []
    (problem,) = nix_parser.parsed(tmp_path, ["a.nix", "b.nix"])
    assert str(problem) == "b.nix:3:3: Nix refuses it: attribute 'a' already defined at b.nix:2:3"


def test_without_nix_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "b.nix").write_text("{ a = }")
    assert nix_parser.parsed(tmp_path, ["b.nix"]) == []
