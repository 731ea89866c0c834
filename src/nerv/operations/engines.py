"""Which engines there are on this machine, which one a platform runs on, and how they differ from what is pinned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nerv import __version__
from nerv.engines.embedded import EmbeddedEngine
from nerv.engines.protocol import Engine
from nerv.engines.upstream import building, catalog, store, taking
from nerv.engines.upstream.building import Report
from nerv.engines.upstream.engine import UpstreamEngine
from nerv.engines.upstream.store import Built, Store
from nerv.errors import NervError
from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder
from nerv.operations.status import Program
from nerv.platform import versions

EMBEDDED, UPSTREAM = EmbeddedEngine.name, UpstreamEngine.name
NAMES = (EMBEDDED, UPSTREAM)
REPAIR = store.REPAIR
_PINS = {**versions.FLUX_COMPONENTS, "etcd": catalog.ETCD}
"""Of the other programs the minor of Kubernetes."""


@dataclass(frozen=True)
class EngineState:
    """One engine on this machine."""

    name: str
    ready: bool
    detail: str
    size: int
    folder: str


@dataclass(frozen=True)
class ProgramVersion:
    """One program of an engine. `pinned`: what the repository asks for; `differs`: whether that is another version.

    `damaged`: whether its bytes are not those of the manifest.
    """

    engine: str
    program: str
    version: str
    pinned: str
    differs: bool
    origin: str
    sha256: str
    toolchain: str
    damaged: bool


def chosen(folder: PlatformFolder, asked: str | None) -> str:
    """The engine asked for, else the one that the platform ran on last, else the embedded one. Raises NervError."""
    if asked is not None and asked not in NAMES:
        raise NervError(f"there is no engine {asked!r}", f"engines: {', '.join(NAMES)}")
    if asked is not None:
        return asked
    try:
        remembered = folder.engine_file.read_text(encoding="utf-8").strip()
    except OSError:
        return EMBEDDED
    return remembered if remembered in NAMES else EMBEDDED


def create(name: str) -> Engine:
    """A new engine of that name."""
    return UpstreamEngine() if name == UPSTREAM else EmbeddedEngine()


def remember(folder: PlatformFolder, name: str) -> None:
    """What `up` without `--engine` runs from now on."""
    folders.write_private(folder.engine_file, f"{name}\n")


def overview() -> list[EngineState]:
    """Every engine and whether it can run: checksums are taken. Raises NervError for a damaged manifest."""
    built = store.default()
    known = built.read()
    missing, damaged = built.missing(), built.damaged()
    detail = f"Kubernetes {catalog.KUBERNETES}, etcd {catalog.ETCD}, Flux's controllers"
    if damaged:
        detail = f"damaged: {', '.join(damaged)}; {REPAIR}"
    elif missing:
        detail = f"not built: {', '.join(missing)}" if known else "not built: `nerv engine build upstream`"
    size = sum(each.size for each in known.values())
    return [
        EngineState(EMBEDDED, ready=True, detail=f"part of NERV {__version__}", size=0, folder=""),
        EngineState(UPSTREAM, ready=not missing and not damaged, detail=detail, size=size, folder=str(built.folder)),
    ]


def is_built(name: str) -> bool:
    """Whether nothing of an engine is missing. Raises NervError for a damaged manifest."""
    return name != UPSTREAM or not store.default().missing()


def program_versions() -> list[ProgramVersion]:
    """What every engine would run."""
    own = EmbeddedEngine().versions()
    rows = [ProgramVersion(EMBEDDED, name, own[name], "", False, "NERV", "", "", damaged=False) for name in own]
    damaged = store.default().damaged()
    for built in store.default().read().values():
        told = _program(built)
        rows.append(
            ProgramVersion(
                UPSTREAM,
                told.name,
                told.version,
                told.pinned,
                told.differs,
                built.origin,
                built.sha256,
                built.toolchain,
                built.program in damaged,
            )
        )
    return rows


def programs(name: str) -> tuple[Program, ...]:
    """The programs of an engine as its manifest names them, without a look at their bytes; none of the embedded one.

    Raises NervError for a damaged manifest.
    """
    return tuple(_program(built) for built in store.default().read().values()) if name == UPSTREAM else ()


def _program(built: Built) -> Program:
    pinned = _PINS.get(built.program, versions.KUBERNETES)
    differs = built.version != pinned and not built.version.startswith(f"{pinned}.")
    return Program(built.program, built.version, pinned, differs)


async def build(name: str, given: Path | None, report: Report, say: building.Say) -> Store:
    """Build or take the programs of an engine. Raises NervError."""
    made = _upstream(name, "is part of NERV: there is nothing to build")
    if given is not None:
        await taking.take(made, given, report)
    else:
        await building.build(made, report, say)
    return made


def remove(name: str) -> int:
    """Delete the programs of an engine. Returns the bytes freed. Raises NervError while one runs or builds them."""
    made = _upstream(name, "is part of NERV and cannot be removed")
    for running in folders.running_platforms():
        if running.engine == name:
            raise NervError(f"{running.name} runs on engine {name} (pid {running.pid})", "`nerv down` stops it")
    if not made.folder.exists():
        return 0
    with made.held():
        return made.remove()


def _upstream(name: str, otherwise: str) -> Store:
    if name not in NAMES:
        raise NervError(f"there is no engine {name!r}", f"engines: {', '.join(NAMES)}")
    if name != UPSTREAM:
        raise NervError(f"engine {name} {otherwise}")
    return store.default()
