"""Building the programs that are missing, one after another, each from its own go.mod and go.sum.

What was fetched and compiled lies in caches of the build alone (`.build` in the store), so that the user's own Go is
left as it is; they go when everything is built. A program that is finished is never built again, and what an
interrupted build has fetched is there for the next try. Where modules come from is the user's matter (GOPROXY, in the
environment or by `go env -w`); what the programs become is not.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources as package
from importlib.resources.abc import Traversable
from pathlib import Path

from nerv import process
from nerv.engines.upstream import toolchain
from nerv.engines.upstream.catalog import SOURCES, Source
from nerv.engines.upstream.store import Built, Store, remove_tree
from nerv.engines.upstream.toolchain import Toolchain
from nerv.errors import NervError, ProcessError

FREE_GIGABYTES = 15
"""What a whole build takes at its height (docs/explanation/engines.md), with some room."""
_GIGABYTE = 1 << 30
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""As the kernel names them, and as Go does."""
_FROM = "or take programs that you have: `nerv engine build upstream --from DIR`"
_HOST = re.compile(r"https?://[^/\s\"]+/?")
_PROXY_ANSWER = re.compile(r"(\S+?): (?:reading|invalid version|git |verifying).*?(\d{3} [A-Z][\w ]+)")
_UNREACHABLE = (
    "dial tcp",
    "no such host",
    "connection refused",
    "i/o timeout",
    "network is unreachable",
    "TLS handshake",
)


@dataclass(frozen=True)
class Step:
    """One program on its way: about to be built, or done (`built`)."""

    number: int
    count: int
    source: Source
    built: Built | None = None


Report = Callable[[Step], None]
Say = Callable[[str], None]


def modules() -> Traversable:
    """The folders of go.mod and go.sum that come with NERV."""
    return package.files("nerv.engines.upstream") / "modules"


async def build(
    store: Store,
    report: Report,
    say: Say,
    *,
    sources: Sequence[Source] = SOURCES,
    recipes: Traversable | None = None,
) -> None:
    """Build what the store lacks or holds damaged. Raises NervError; programs that are finished stay finished."""
    try:
        with store.held():
            store.folder.mkdir(mode=0o700, exist_ok=True)
            sound = store.read().keys() - set(store.damaged())
            missing = [source for source in sources if source.program not in sound]
            if missing:
                await _build_all(store, missing, recipes or modules(), report, say)
                say("deleting what only building needed")
            remove_tree(store.build_folder)
    except OSError as error:
        place = error.filename or store.folder
        hint = f"what is finished is kept, run it again; XDG_DATA_HOME names another disk, {_FROM}"
        raise NervError(f"the upstream engine was not built: {place}: {error.strerror or error}", hint) from None


async def _build_all(store: Store, missing: Sequence[Source], recipes: Traversable, report: Report, say: Say) -> None:
    store.build_folder.mkdir(mode=0o700, exist_ok=True)
    remove_tree(temporary(store.build_folder))  # of a build that was killed
    _check_disk(store, missing)
    temporary(store.build_folder).mkdir()
    go = await toolchain.find(store.build_folder / "toolchain", temporary(store.build_folder), say)
    settings = {**environment(store.build_folder), **await toolchain.fetching(go)}
    say(f"building {len(missing)} programs with {go} in {store.folder}")
    for number, source in enumerate(missing, 1):
        report(Step(number, len(missing), source))
        report(Step(number, len(missing), source, await _build(store, go, source, recipes, settings)))


def temporary(folder: Path) -> Path:
    """Where a build in `folder` puts what it deletes itself, unless it is killed."""
    return folder / "tmp"


def _check_disk(store: Store, missing: Sequence[Source]) -> None:
    wanted = FREE_GIGABYTES * _share(missing)
    free = shutil.disk_usage(store.folder).free
    caches = sum(file.lstat().st_size for file in store.build_folder.rglob("*") if not file.is_dir())
    if free + caches < wanted * _GIGABYTE:
        raise NervError(
            f"building takes {wanted:.0f} GB for a while, {store.folder} has {free / _GIGABYTE:.1f} GB free",
            f"free some, set XDG_DATA_HOME to another disk, {_FROM}",
        )


def _share(missing: Sequence[Source]) -> float:
    """Of a whole build: a module takes what another does, by and large, and the toolchain as much as one of them."""
    of_all, of_these = ({source.module for source in sources} for sources in (SOURCES, missing))
    return min(1.0, (len(of_these) + 1) / (len(of_all) + 1))


async def _build(
    store: Store, go: Toolchain, source: Source, recipes: Traversable, settings: Mapping[str, str]
) -> Built:
    folder = store.build_folder / "modules" / source.module
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("go.mod", "go.sum"):
        (folder / name).write_bytes((recipes / source.module / name).read_bytes())
    made = store.build_folder / f"{source.program}.new"
    begun = time.monotonic()
    command = ["nice", "-n", "10", str(go.go), "build", "-trimpath", "-ldflags", _linker_flags(source)]
    try:
        await process.run([*command, "-o", str(made), source.package], cwd=folder, env=settings)
    except ProcessError as error:
        raise _failure(source, error, store) from None
    return store.add(
        source.program,
        made,
        version=source.version,
        origin=f"{source.package}@{source.version}",
        toolchain=str(go),
        seconds=time.monotonic() - begun,
    )


def _linker_flags(source: Source) -> str:
    stamps = [f"-X {name}={value}" for name, value in (source.stamps or {}).items()]
    return " ".join(["-s -w", *stamps])


def environment(folder: Path) -> dict[str, str]:
    """Caches of the build alone, and nothing of the user's that would make another program.

    For Go an empty variable is an unset one, for which `go env -w` has the next word: hence GOENV.
    """
    return {
        **dict.fromkeys(("GOROOT", "GOEXPERIMENT", "GODEBUG", "GOCACHEPROG"), ""),
        "GOENV": "off",
        # programs for every machine of the kind, whatever the toolchain was made to prefer
        "GOAMD64": "v1",
        "GOARM64": "v8.0",
        "GOFIPS140": "off",
        "GOPATH": str(folder / "path"),
        "GOMODCACHE": str(folder / "mod"),
        "GOCACHE": str(folder / "cache"),
        "GOTMPDIR": str(temporary(folder)),
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": _ARCHITECTURES.get(os.uname().machine, ""),
        "CGO_ENABLED": "0",  # no C compiler, and names are resolved as pods' resolv.conf says
        "GO111MODULE": "on",
    }


def _failure(source: Source, error: ProcessError, store: Store) -> NervError:
    """One line that says what is in the way. The name of a proxy is the user's own matter and stays out of it."""
    text = _HOST.sub("", error.output)
    if "no space left on device" in text:
        return NervError(
            f"{source.program} was not built: no space left in {store.folder}",
            f"a whole build takes {FREE_GIGABYTES} GB for a while; what is finished is kept",
        )
    if any(sign in text for sign in _UNREACHABLE):
        return NervError(
            f"{source.program} was not built: the Go module proxy does not answer ({_last(text)})",
            f"run it again with a network; what is finished is kept, {_FROM}",
        )
    if "GOPROXY=off" in text:
        return NervError(
            f"{source.program} was not built: no Go module may be fetched (GOPROXY=off)",
            f"set GOPROXY to a proxy, {_FROM}",
        )
    if "signal: killed" in text:
        return NervError(
            f"{source.program} was not built: the compiler was killed, as a rule for want of memory",
            "end other programs; what is finished is kept, run it again",
        )
    if "SECURITY ERROR" in text or "checksum mismatch" in text:
        return NervError(
            f"{source.program} was not built: a module is not the one that NERV pins ({_first(text, 'mismatch')})",
            "the proxy of this network changes modules: set GOPROXY to another",
        )
    if refused := _PROXY_ANSWER.search(text):
        return NervError(
            f"{source.program} was not built: the Go module proxy refuses {refused[1]} ({refused[2].strip()})",
            f"set GOPROXY to one that has it, {_FROM}",
        )
    return NervError(f"{source.program} was not built: {_last(text)}", "what is finished is kept, run it again")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def _first(text: str, word: str) -> str:
    return next((line.strip() for line in text.splitlines() if word in line), _last(text))
