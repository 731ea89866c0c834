"""Record what the upstream engine answers, for every case: `python -m tests.parity.record` in the checkout.

Needs the engine's programs (`nerv engine build upstream`). Read the difference in Git before you commit it.
"""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import nerv.operations.fidelity
from nerv.operations import engines
from nerv.operations.fidelity import cases, playing, recordings, scratch
from nerv.operations.fidelity.recordings import Recording

FOLDER = Path(nerv.operations.fidelity.__file__).parent / "recordings"


async def record() -> Recording:
    """The recording of today."""
    async with scratch.running(engines.UPSTREAM) as client:
        answers = await playing.play_all(cases.api(), client)
    programs = engines.create(engines.UPSTREAM).versions()
    named = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    return Recording(
        datetime.datetime.now(datetime.UTC).date().isoformat(), {name: programs[name] for name in named}, answers
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    recordings.save(FOLDER / recordings.API, asyncio.run(record()))
