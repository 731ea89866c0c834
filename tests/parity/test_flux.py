"""Flux on the embedded engine against what the real controllers said of the same repository."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home

from nerv.operations import session
from nerv.operations.fidelity import flux, recordings, report
from nerv.operations.fidelity.flux import FluxCase
from nerv.operations.fidelity.playing import Answer
from nerv.operations.target import Target

pytestmark = [pytest.mark.timeout(300)]
CASES = flux.cases()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Answer]]:
    """Every case played on a platform of its own."""
    with commands.up(Home.at(tmp_path_factory.mktemp("parity"))) as home:
        return asyncio.run(_play(home.folder))


async def _play(folder: Path) -> dict[str, list[Answer]]:
    async with session.connect(Target(folder / ".nerv" / "kubeconfig")) as client:
        return await flux.play_all(client, folder, f"https://github.com/you/{folder.name}.git")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.identity)
def test_flux_says_what_the_real_controllers_say(case: FluxCase, answers: dict[str, list[Answer]]) -> None:
    result = report.judge(case, recordings.load(recordings.FLUX), answers[case.identity])
    assert result.fine, f"{result.verdict}:\n" + "\n".join(result.differences)


def test_every_recorded_case_is_still_there() -> None:
    assert set(recordings.load(recordings.FLUX).answers) == {case.identity for case in CASES}
    assert len(CASES) >= 15
