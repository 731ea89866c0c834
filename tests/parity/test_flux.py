"""Flux on the embedded engine against what the real controllers said of the same repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import commands
from tests.support.commands import Home

from nerv.operations.fidelity import flux, recordings
from nerv.operations.fidelity.flux import FluxCase

pytestmark = [pytest.mark.timeout(300)]
CASES = flux.cases()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """What `nerv fidelity --flux` tells of a platform of its own."""
    with commands.up(Home.at(tmp_path_factory.mktemp("parity")), "--engine", "embedded") as home:
        done = home.nerv("fidelity", "--flux", "-o", "json", code=None, timeout=200)
        assert done.stdout, done.stderr
        yield json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.identity)
def test_flux_says_what_the_real_controllers_say(case: FluxCase, told: list[dict[str, Any]]) -> None:
    (result,) = [each for each in told[1]["cases"] if each["name"] == case.name]
    assert result["verdict"] in ("same", "gap", "other version"), "\n".join(result["differences"])


def test_the_verb_counts_flux_beside_the_api(told: list[dict[str, Any]]) -> None:
    _, of_flux = told
    recording = recordings.load(recordings.FLUX)
    assert (of_flux["recorded"], of_flux["versions"]) == (recording.date, dict(recording.versions))
    assert [(area["area"], area["cases"]) for area in of_flux["areas"]] == [("flux", len(CASES))]
    assert [each["reason"] for each in of_flux["cases"]] == [case.gap or case.other_version for case in CASES]


def test_every_recorded_case_is_still_there() -> None:
    assert set(recordings.load(recordings.FLUX).answers) == {case.identity for case in CASES}
    assert len(CASES) >= 15
    assert len({case.name for case in CASES}) == len(CASES)
