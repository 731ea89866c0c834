"""The list of verbs and the one error boundary."""

from __future__ import annotations

from pathlib import Path

import pytest

from nerv.cli import boundary

HERE = Path(__file__).parents[2]
DOCUMENTS = (HERE / "README.md", *(HERE / "docs").rglob("*.md"))


@pytest.mark.parametrize("verb", [verb for verb, _, _ in boundary.VERBS])
def test_every_verb_has_help_and_stands_in_a_document(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary.run([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"nerv {verb}" in shown
    assert any(f"`{verb}" in text or f"nerv {verb}" in text for text in map(Path.read_text, DOCUMENTS))


def test_a_wrong_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary.run(["status", "--no-such-option"]) == 2
    assert capsys.readouterr().err.strip() == "nerv: No such option: --no-such-option"


def test_a_domain_error_is_one_line_with_its_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary.run(["-C", str(tmp_path), "status"]) == 1
    shown = capsys.readouterr().err
    assert shown == f"nerv: {tmp_path} holds no nerv.yaml (`nerv init {tmp_path}` makes one)\n"


def test_a_defect_says_how_to_get_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(arguments: object) -> object:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(boundary, "build", breaks)
    assert boundary.run(["list"]) == 70
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown
