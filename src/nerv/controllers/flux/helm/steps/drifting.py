"""Correcting drift."""

from __future__ import annotations

from collections.abc import Sequence

from nerv.controllers.flux.api import READY
from nerv.controllers.flux.helm import drift, snapshots
from nerv.controllers.flux.helm.drift import Difference
from nerv.controllers.flux.helm.engine.waiting import DEADLINE
from nerv.controllers.flux.helm.request import Request


async def correct(request: Request, differences: Sequence[Difference]) -> None:
    """Make the cluster equal to the manifest again, and say what was done. Failures are events alone, as in Flux."""
    latest = request.latest
    assert latest is not None
    request.draft.mark(READY, "Unknown", "Progressing", "correcting cluster drift")
    try:
        work = drift.correct(request.cluster, differences)
        done, failures = await request.cluster.within(request.view.timeout(), work)
    except TimeoutError:
        done, failures = [], [DEADLINE]
    release = snapshots.full_name(latest)
    if failures:
        partially = "partially " if done else ""
        message = f"Failed to {partially}correct cluster state of release {release}:\n" + "\n".join(failures)
        if done:
            message += "\n\nSuccessful corrections:\n" + "\n".join(done)
        request.event("Warning", "DriftCorrectionFailed", message, latest)
    elif done:
        message = f"Cluster state of release {release} has been corrected:\n" + "\n".join(done)
        request.event("Normal", "DriftCorrected", message, latest)
