"""Playing the cases on the embedded engine and holding the answers against the recordings."""

from __future__ import annotations

from dataclasses import dataclass

from nerv.components import definition
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.operations import engines
from nerv.operations import folder as folders
from nerv.operations.fidelity import cases, flux, playing, recordings, report, scratch
from nerv.operations.fidelity.recordings import Recording
from nerv.operations.fidelity.report import Result
from nerv.operations.folder import PlatformFolder


@dataclass(frozen=True)
class Measured:
    """A recording, and what became of each of its cases."""

    recording: Recording
    results: tuple[Result, ...]

    @property
    def fine(self) -> bool:
        """Whether every case is as it is known to be."""
        return all(result.fine for result in self.results)


async def api() -> Measured:
    """The Kubernetes API, on an engine of its own that is thrown away. Raises NervError."""
    recording = recordings.load(recordings.API)
    async with scratch.running(engines.EMBEDDED) as client:
        answers = await playing.play_all(cases.api(), client)
    return Measured(recording, report.compare(cases.api(), recording, answers))


def require_embedded(platform: PlatformFolder) -> None:
    """Raise NervError where the platform does not run, or on another engine."""
    running = next((found for found in folders.running_platforms() if found.folder == platform), None)
    if running is None or running.engine != engines.EMBEDDED:
        raise NervError(f"{platform.root} does not run on the embedded engine", "`nerv up --engine embedded` does")


async def flux_of(platform: PlatformFolder, client: Client) -> Measured:
    """Flux, on a platform that runs on the embedded engine; adds a commit with the folder parity/ to its repository."""
    url = definition.load(platform.definition).spec.repository.url
    recording = recordings.load(recordings.FLUX)
    answers = await flux.play_all(client, platform.root, url)
    return Measured(recording, report.compare(flux.cases(), recording, answers))
