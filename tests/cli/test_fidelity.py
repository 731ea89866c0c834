"""`nerv fidelity`: figures, gaps with their reasons, what was recorded when and from which versions.

With `--flux` it needs a platform that runs: tests/parity/test_flux.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nerv.cli import boundary
from nerv.operations import folder as folders
from nerv.operations.fidelity import cases, recordings
from nerv.operations.folder import PlatformFolder

CASES = cases.api()
RECORDING = recordings.load(recordings.API)
GAPS = [case for case in CASES if case.gap]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


def test_the_text_has_a_row_for_each_area_and_the_reason_of_each_gap(capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary.run(["fidelity"]) == 0
    told = capsys.readouterr().out
    rows = {words[0]: words[1:] for line in told.splitlines() if len(words := line.split()) == 5}
    assert rows.keys() - {"AREA"} == {*(case.area for case in CASES), "all"}
    assert rows["all"] == [str(number) for number in (len(CASES), len(CASES) - len(GAPS), len(GAPS), 0)]
    assert f"recorded {RECORDING.date} from etcd v3.5.16, kube-apiserver v1.31.4, " in told
    assert re.findall(r"^gap: (.*)$", told, re.MULTILINE) == [f"{case.identity}: {case.gap}" for case in GAPS]


def test_json_has_the_verdict_of_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert boundary.run(["fidelity", "-o", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["recorded"], told["versions"]) == (RECORDING.date, dict(RECORDING.versions))
    assert [(case["area"], case["name"]) for case in told["cases"]] == [(case.area, case.name) for case in CASES]
    assert {case["reason"] for case in told["cases"] if case["verdict"] == "gap"} == {case.gap for case in GAPS}
    assert all(case["differences"] for case in told["cases"] if case["verdict"] == "gap")
    counted = {area["area"]: area["cases"] for area in told["areas"]}
    assert counted == {area: sum(case.area == area for case in CASES) for area in counted}
    assert sum(area["same"] + area["gaps"] + area["other_version"] for area in told["areas"]) == len(CASES)


def test_an_answer_that_is_not_as_recorded_is_told_and_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(case for case in CASES if not case.gap)
    first, *others = RECORDING.answers[case.identity]
    answers = {**RECORDING.answers, case.identity: [{**first, "status": 418}, *others]}
    recordings.save(tmp_path / "api.json", replace(RECORDING, answers=answers))
    monkeypatch.setattr(recordings, "API", str(tmp_path / "api.json"))
    assert boundary.run(["fidelity"]) == 1
    told = capsys.readouterr().out
    assert f"different: {case.identity}\n  [0].status: upstream 418, embedded {first['status']}\n" in told


def test_flux_is_asked_on_the_embedded_engine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(folders, "run_base", lambda: tmp_path / "run")
    home = tmp_path / "home"
    home.mkdir()
    (home / "nerv.yaml").write_text("")
    said = f"nerv: {home} does not run on the embedded engine (`nerv up --engine embedded` does)\n"
    assert boundary.run(["-C", str(home), "fidelity", "--flux"]) == 1
    assert capsys.readouterr().err == said
    with folders.hold_lock(PlatformFolder(home), "home", "upstream"):
        assert boundary.run(["-C", str(home), "fidelity", "--flux"]) == 1
    assert capsys.readouterr().err == said
