"""Record what the upstream engine answers, for every case: `python -m tests.parity.record [FOLDER]` in the checkout.

Needs the engine's programs (`nerv engine build upstream`). With the folder of a platform that runs on that engine Flux
is recorded from it, else the Kubernetes API from an engine that is thrown away. Read the difference before you commit.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
from collections.abc import Mapping
from pathlib import Path

import nerv.operations.fidelity
from nerv.components import definition
from nerv.operations import engines, session
from nerv.operations.fidelity import cases, flux, playing, recordings, scratch
from nerv.operations.fidelity.playing import Answer
from nerv.operations.fidelity.recordings import Recording
from nerv.operations.folder import PlatformFolder
from nerv.operations.target import Target

FOLDER = Path(nerv.operations.fidelity.__file__).parent / "recordings"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
FLUX = ("source-controller", "kustomize-controller", "helm-controller")


def made(answers: Mapping[str, list[Answer]], programs: tuple[str, ...]) -> Recording:
    """The recording of today."""
    built = engines.create(engines.UPSTREAM).versions()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Recording(today, {name: built[name] for name in programs}, answers)


async def record_api() -> Recording:
    """The Kubernetes API."""
    async with scratch.running(engines.UPSTREAM) as client:
        return made(await playing.play_all(cases.api(), client), CONTROL_PLANE)


async def record_flux(folder: PlatformFolder) -> Recording:
    """Flux, on a running platform."""
    url = definition.load(folder.definition).spec.repository.url
    async with session.connect(Target(folder.kubeconfig)) as client:
        return made(await flux.play_all(client, folder.root, url), FLUX)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    if len(sys.argv) > 1:
        platform = PlatformFolder(Path(sys.argv[1]).resolve())
        recordings.save(FOLDER / recordings.FLUX, asyncio.run(record_flux(platform)))
    else:
        recordings.save(FOLDER / recordings.API, asyncio.run(record_api()))
