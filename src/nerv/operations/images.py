"""Which program runs an image on this machine: from the components' facts, the services' coroutines and the engine."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from nerv.components.site import Program
from nerv.errors import NervError
from nerv.node import programs as node_programs
from nerv.node.programs import EmbeddedProgram, PodContext, ProcessProgram, Programs
from nerv.operations.rewrites import REWRITES

# coredns and metrics-server come with the Kubernetes distribution, not with a component: the network answers DNS
ADDONS = ("rancher/mirrored-coredns-coredns", "rancher/mirrored-metrics-server")
REACHING_OUT = ("fluxcd/source-controller", "fluxcd/notification-controller")
Work = Callable[[PodContext], Awaitable[int]]


def programs(
    components: Iterable[Program],
    work: Mapping[str, Work],
    engine: Mapping[str, ProcessProgram],
    way_out: Mapping[str, str],
) -> Programs:
    """The table handed to nodes. `work`: coroutines that are a Job's container. The engine's own programs win.

    `way_out`: environment of programs whose work is outside of the cluster.

    Raises NervError when a program is not installed.
    """
    table: dict[str, node_programs.Program] = {image: EmbeddedProgram() for image in ADDONS}
    for program in components:
        if program.runtime == "process":
            table[program.image] = ProcessProgram(command(program), rewrites=REWRITES.get(program.image))
        else:
            table[program.image] = EmbeddedProgram()
    for image, run in work.items():
        table[node_programs.image_name(image)] = EmbeddedProgram(run)
    real = {
        image: replace(
            program,
            rewrites=REWRITES.get(image),
            environment={**program.environment, **(way_out if image in REACHING_OUT else {})},
        )
        for image, program in engine.items()
    }
    return {**table, **real}


def command(program: Program) -> tuple[str, ...]:
    """The executable of a process program. Raises NervError when it is not installed."""
    if program.name == "nerv":
        return (sys.executable, "-m", "nerv")
    beside = Path(sys.executable).parent / program.name
    found = str(beside) if beside.exists() else shutil.which(program.name)
    if not found:
        raise NervError(f"`{program.name}`, which runs image {program.image}, is not installed", "set NERV up again")
    return (found,)
