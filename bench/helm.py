"""How fast HelmReleases become ready: many small ones at once, in one process with the API server.

    .venv/bin/python bench/helm.py [COUNT]

Prints seconds and memory. The peer is the `helm` program on the same chart: NERV_BENCH_HELM=PATH prints its time for
one rendering beside ours.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.helm import chart, flux

from nerv import process
from nerv.builders import helm

_CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, labels: {app: {{ .Release.Name }}}}
data: {value: {{ .Values.value | quote }}}
"""
_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {ports: [{port: 80}], selector: {app: {{ .Release.Name }}}}
"""
_ROUNDS = 20


async def releases(folder: Path, archive: bytes, count: int) -> float:
    """Seconds from the first HelmRelease to the last that is ready."""
    async with flux(folder) as world:
        world.shelf.put(archive)
        begun = time.perf_counter()
        for number in range(count):
            await world.release(f"app-{number}", values={"value": str(number)})
        for number in range(count):
            await world.ready(f"app-{number}")
        return time.perf_counter() - begun


async def rendering(archive: bytes) -> float:
    """Seconds for one rendering in Helm's worker, hooks and capabilities included."""
    loaded = helm.load(archive)
    here = helm.Capabilities("v1.31.4", ("v1", "apps/v1"))
    begun = time.perf_counter()
    for _ in range(_ROUNDS):
        await helm.render(loaded, name="app", namespace="default", values={}, capabilities=here)
    return (time.perf_counter() - begun) / _ROUNDS


async def peer(program: str, folder: Path) -> float:
    """Seconds for one rendering by the `helm` program."""
    begun = time.perf_counter()
    await process.run([program, "template", "app", str(folder / "charts" / "demo-1.0.0")])
    return time.perf_counter() - begun


async def main(count: int) -> None:
    """Run all and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = chart(folder, templates={"a.yaml": _CONFIG_MAP, "b.yaml": _SERVICE}, values={"value": "x"})
        seconds = await releases(folder, archive, count)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count} HelmReleases ready in {seconds:.2f} s ({count / seconds:.0f}/s), {megabytes:.0f} MB")
        ours = await rendering(archive)
        print(f"one rendering: {ours * 1e3:.1f} ms")
        program = os.environ.get("NERV_BENCH_HELM")
        if program:
            theirs = await peer(program, folder)
            print(f"one rendering by {program}: {theirs * 1e3:.1f} ms, ratio {theirs / ours:.0f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
