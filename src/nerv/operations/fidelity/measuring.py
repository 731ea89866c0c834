"""Playing every case on the embedded engine, here and now, and holding it against the recording."""

from __future__ import annotations

from nerv.operations import engines
from nerv.operations.fidelity import cases, playing, recordings, report, scratch
from nerv.operations.fidelity.recordings import Recording
from nerv.operations.fidelity.report import Result


async def measure() -> tuple[Recording, tuple[Result, ...]]:
    """The recording, and what became of each case. Raises NervError."""
    recording = recordings.load(recordings.API)
    async with scratch.running(engines.EMBEDDED) as client:
        answers = await playing.play_all(cases.api(), client)
    return recording, report.compare(cases.api(), recording, answers)
