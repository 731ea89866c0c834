"""Which program a container's image stands for on this machine.

An image without an entry is simulated: it goes through the same life cycle and says so (`nerv.dev/runtime`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nerv.kube.objects import Object

RUNTIME_ANNOTATION = "nerv.dev/runtime"
PROGRAM_ANNOTATION = "nerv.dev/program"
"""Name and version of the program that really runs, where the engine says it."""
ARGUMENTS_ANNOTATION = "nerv.dev/arguments"
"""What of a container's arguments its program is not given."""
REWRITTEN_ANNOTATION = "nerv.dev/rewritten"
"""What of a pod's programs is not as its containers say, on this machine."""
PROCESS, EMBEDDED, SIMULATED = "process", "embedded", "simulated"


@dataclass(frozen=True)
class PodContext:
    """What an embedded program is told. `log` writes one line to the container's log."""

    pod: Object
    container: str
    address: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Callable[[str], None]


@dataclass(frozen=True)
class Rewrites:
    """How a program's arguments are made to fit a pod that shares this machine's network (driver `proxy`).

    `listens`: options that take an address to listen at (a pattern of the whole name) and their default, "" where
    there is none. `dropped`: options left out, such as leader election, which one process does not need. `kubeconfig`:
    the option that takes one, "" where the environment (KUBECONFIG) does.
    """

    listens: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...] = ()
    kubeconfig: str = ""


@dataclass(frozen=True)
class ProcessProgram:
    """A real program. The container's own arguments follow `command`; of `command:` all but its first word do, too."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files of this machine that it sees, by their place in the pod."""
    without: tuple[str, ...] = ()
    """Arguments of the container that it is not given."""
    name: str = ""
    """Name and version, where they may be others than the image's."""

    def arguments(self, given: Sequence[str]) -> tuple[str, ...]:
        """What of the container's arguments it is given."""
        return tuple(word for word in given if word.partition("=")[0] not in self.without)

    rewrites: Rewrites | None = None
    """None: it cannot be told where to listen, so it does not run without a network of its own."""


@dataclass(frozen=True)
class EmbeddedProgram:
    """Work done inside NERV. With `run` the coroutine is the container: its result is the exit code, an exception is
    logged as exit code 1. Without, a reconciler does the work and the container stays Running. `ready`, where given,
    returns once the work has begun; until then the container is not ready."""

    run: Callable[[PodContext], Awaitable[int]] | None = None
    ready: Callable[[PodContext], Awaitable[None]] | None = None


Program = ProcessProgram | EmbeddedProgram
Programs = Mapping[str, Program]
"""By image name as `image_name` gives it."""


def image_name(image: str) -> str:
    """The image's name without registry, tag and digest: `docker.io/library/traefik:v3` is `traefik`,
    `quay.io/jetstack/cert-manager-controller` is `jetstack/cert-manager-controller`."""
    name = image.partition("@")[0]
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        name = rest
    folder, _, last = name.rpartition("/")
    last = last.partition(":")[0]
    folder = "" if folder == "library" else folder
    return f"{folder}/{last}" if folder else last


def find(programs: Programs, image: str) -> Program | None:
    """The program of an image, None when it is simulated."""
    return programs.get(image_name(image))


def runtime_of(program: Program | None) -> str:
    """The value of the runtime annotation."""
    match program:
        case ProcessProgram():
            return PROCESS
        case EmbeddedProgram():
            return EMBEDDED
        case None:
            return SIMULATED


def told(programs: Programs, pod: Object) -> dict[str, str]:
    """What a pod is told to be: its runtime, and which program stands for its image with which arguments."""
    said = {RUNTIME_ANNOTATION: pod_runtime(programs, pod)}
    for container in pod["spec"]["containers"]:
        program = find(programs, container["image"])
        if isinstance(program, ProcessProgram) and program.name:
            said[PROGRAM_ANNOTATION] = program.name
            given = container.get("args") or []
            left_out = [word for word in given if word not in program.arguments(given)]
            if left_out:
                said[ARGUMENTS_ANNOTATION] = f"without {' '.join(left_out)}"
    return said


def pod_runtime(programs: Programs, pod: Object) -> str:
    """Of a whole pod: process when any of its containers is one, else embedded when any is."""
    runtimes = {runtime_of(find(programs, container["image"])) for container in pod["spec"]["containers"]}
    return next(runtime for runtime in (PROCESS, EMBEDDED, SIMULATED) if runtime in runtimes)
