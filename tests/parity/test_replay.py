"""The embedded engine against what the real control plane answered (recordings are dated and name the versions)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nerv import documents
from nerv.operations import engines
from nerv.operations.fidelity import cases, normalise, playing, recordings, report, scratch
from nerv.operations.fidelity.cases import Case
from nerv.operations.fidelity.normalise import Names
from nerv.operations.fidelity.playing import Answer
from nerv.operations.fidelity.recordings import Recording

CASES = cases.api()


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recordings.load(recordings.API)


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Answer]]:
    """Every case played once, in order: what one leaves behind the next one sees, as when it was recorded."""

    async def play() -> dict[str, list[Answer]]:
        async with scratch.running(engines.EMBEDDED) as client:
            return await playing.play_all(CASES, client)

    return asyncio.run(play())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.identity)
def test_answers_are_those_of_the_real_control_plane(
    case: Case, recording: Recording, answers: dict[str, list[Answer]]
) -> None:
    result = report.judge(case, recording, answers[case.identity])
    assert result.fine, f"{result.verdict}:\n" + "\n".join(result.differences)


def test_every_recorded_case_is_still_there(recording: Recording) -> None:
    assert set(recording.answers) == {case.identity for case in CASES}


def test_cases_have_namespaces_of_their_own() -> None:
    assert len({case.namespace for case in CASES}) == len(CASES)
    assert len(CASES) >= 60


def test_a_mark_that_is_not_needed_any_more_is_an_error() -> None:
    step = CASES[0].steps[:1]
    recorded = Recording("2026-01-01", {}, {"a: b": [{"status": 200}]})
    assert report.judge(Case("a", "b", step), recorded, [{"status": 200}]).verdict == "same"
    assert report.judge(Case("a", "b", step, gap="why"), recorded, [{"status": 200}]).verdict == "mark not needed"
    assert report.judge(Case("a", "b", step, gap="why"), recorded, [{"status": 404}]).verdict == "gap"
    assert report.judge(Case("a", "b", step, other_version="1.7"), recorded, [{"status": 404}]).fine
    assert report.judge(Case("a", "b", step), recorded, [{"status": 404}]).differences == (
        "[0].status: upstream 200, embedded 404",
    )
    assert report.judge(Case("a", "c", step), recorded, [{"status": 200}]).verdict == "not recorded"


def test_what_differs_between_runs_is_taken_away_and_identity_stays() -> None:
    one, two = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
    value = {
        "metadata": {"uid": one, "resourceVersion": "7", "creationTimestamp": "2026-11-25T20:00:00Z"},
        "owner": two,
        "again": f"of {one}",
    }
    assert normalise.answer(value, Names()) == {
        "metadata": {"uid": "<uid-1>", "resourceVersion": "<version-1>", "creationTimestamp": "<time>"},
        "owner": "<uid-2>",
        "again": "of <uid-1>",
    }


def test_a_recording_is_written_so_that_differences_can_be_read(tmp_path: Path) -> None:
    made = Recording("2026-11-25", {"etcd": "v3.5.16"}, {"a: b": [{"status": 200, "body": {"x": [1]}}]})
    recordings.save(tmp_path / "r.json", made)
    text = (tmp_path / "r.json").read_text()
    assert documents.load_json(text) == {"date": made.date, "versions": made.versions, "answers": made.answers}
    assert text.count("\n") > 10
