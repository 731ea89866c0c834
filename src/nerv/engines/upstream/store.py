"""Where built programs lie, and what is known of them: `$XDG_DATA_HOME/nerv/engines/upstream/<release>/`.

    manifest.json   version, SHA-256, size, origin and toolchain of every program
    etcd ...        the programs
    .build/         caches of a build that is not finished

The folder is shared by all platforms of the user. A program counts only with its entry in the manifest, which is
written after the program has its final name. So one that was written to later than the manifest leaves a doubt.

Whether a program is what the manifest says is asked twice: the checksums of all (600 MB, about a second) where the
question is what lies here, and sizes and times (no cost) at every start, with a checksum where a time leaves it open.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nerv.engines.upstream import catalog
from nerv.errors import NervError

MANIFEST = "manifest.json"
BUILD = ".build"
_FORMAT = 1
_BUILD_HINT = "`nerv engine build upstream` makes what is missing"
REPAIR = "`nerv engine build upstream` builds it again"


@dataclass(frozen=True)
class Built:
    """One program as it lies here. `origin` is the module it was built from, or the folder it was taken from."""

    program: str
    version: str
    sha256: str
    size: int
    origin: str
    toolchain: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Store:
    """The folder of one release."""

    folder: Path

    def path(self, program: str) -> Path:
        return self.folder / program

    @property
    def build_folder(self) -> Path:
        """Caches of a build."""
        return self.folder / BUILD

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only one process at a time makes or deletes programs of a store. Raises NervError while another does.

        The lock lies beside the folder, which may be deleted under it.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder.with_name(f".{self.folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = "the upstream engine is being built, taken or removed by another process"
                raise NervError(message, "wait for it") from None
            yield
        finally:
            os.close(lock)

    def read(self) -> Mapping[str, Built]:
        """What the manifest knows and is really there. Raises NervError for a damaged manifest."""
        path = self.folder / MANIFEST
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            known = [Built(**entry) for entry in told["programs"]]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError):
            raise NervError(f"{path} cannot be read", "`nerv engine remove upstream`, then build it again") from None
        return {built.program: built for built in known if self.path(built.program).is_file()}

    def missing(self) -> tuple[str, ...]:
        """Programs that are not here."""
        return _missing(self.read())

    def damaged(self) -> tuple[str, ...]:
        """Programs whose content is not what the manifest says, by their checksums."""
        return tuple(name for name, built in self.read().items() if not self._is_as_built(built))

    def require(self) -> Mapping[str, Built]:
        """Everything, or NervError with the way to it. Fast: reads a program only where its time leaves a doubt."""
        known = self.read()
        if missing := _missing(known):
            raise NervError(f"the upstream engine is not built: {', '.join(missing)} missing", _BUILD_HINT)
        damaged = [name for name, built in known.items() if self._is_doubtful(built) and not self._is_as_built(built)]
        if damaged:
            message = f"the upstream engine is damaged: {', '.join(damaged)} in {self.folder}"
            raise NervError(f"{message} not as the manifest says", REPAIR)
        return known

    def _is_doubtful(self, built: Built) -> bool:
        """Another size, or written to since the manifest was; or gone since that was read."""
        try:
            found, manifest = self.path(built.program).stat(), (self.folder / MANIFEST).stat()
        except OSError:
            return True
        return found.st_size != built.size or found.st_mtime_ns > manifest.st_mtime_ns

    def _is_as_built(self, built: Built) -> bool:
        path = self.path(built.program)
        try:
            return path.stat().st_size == built.size and _digest(path) == built.sha256
        except OSError:  # removed meanwhile, or of a disk that fails
            return False

    def add(self, program: str, made: Path, *, version: str, origin: str, toolchain: str, seconds: float) -> Built:
        """Take a finished program in: first under its final name, then into the manifest."""
        made.chmod(0o755)
        built = Built(program, version, _digest(made), made.stat().st_size, origin, toolchain, round(seconds, 1))
        made.replace(self.path(program))
        known = {**self.read(), program: built}
        ordered = [asdict(known[name]) for name in catalog.PROGRAMS if name in known]
        text = json.dumps({"format": _FORMAT, "release": self.folder.name, "programs": ordered}, indent=1)
        temporary = self.folder / f".{MANIFEST}.new"
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(self.folder / MANIFEST)
        return built

    def remove(self) -> int:
        """Delete everything of this release. Returns the bytes that were freed."""
        freed = sum(file.lstat().st_size for file in self.folder.rglob("*") if not file.is_dir())
        remove_tree(self.folder)
        return freed


def _missing(known: Container[str]) -> tuple[str, ...]:
    return tuple(program for program in catalog.PROGRAMS if program not in known)


def default() -> Store:
    """The store of this user and of the release that this NERV runs."""
    given = os.environ.get("XDG_DATA_HOME")
    base = Path(given) if given and Path(given).is_absolute() else Path.home() / ".local" / "share"
    return Store(base / "nerv" / "engines" / "upstream" / catalog.RELEASE)


def remove_tree(folder: Path) -> None:
    """Delete a folder; Go's module cache is made of folders that refuse it until they are made writable."""
    if not folder.exists():
        return
    for place, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(0o700)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise NervError(f"{error.filename} cannot be deleted: {error.strerror}") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
