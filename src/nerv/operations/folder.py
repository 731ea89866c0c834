"""Where a platform keeps what: its repository, and the state of this machine in `.nerv/` beside it.

    home/               the platform repository (Git)
      nerv.yaml         the definition
      .nerv/            ignored by Git, 0700; files 0600
        format          number of the state's format
        lock            held while the platform runs; names the pid
        engine          name of the engine that it runs on
        kubeconfig ca.crt state.json pki/ data/ artifacts/ charts/ volumes/ pods/ logs/

Unix sockets have a limit of 107 characters, so they live in a short folder of the user's run-time directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nerv.errors import NervError

FORMAT = 1
DEFINITION = "nerv.yaml"


@dataclass(frozen=True)
class PlatformFolder:
    """The folder of one platform; `root` is absolute."""

    root: Path

    @property
    def definition(self) -> Path:
        return self.root / DEFINITION

    @property
    def state(self) -> Path:
        return self.root / ".nerv"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def ca_file(self) -> Path:
        """The certificate authority that signs the dashboards' certificates, once it is known."""
        return self.state / "ca.crt"

    @property
    def published(self) -> Path:
        """Where LoadBalancer addresses listen on this machine."""
        return self.state / "published.json"

    @property
    def bare(self) -> Path:
        """Exists where the cluster was started with nothing in it: the repository is then hosted elsewhere."""
        return self.state / "bare"

    @property
    def healthy_marker(self) -> Path:
        """Exists from the moment on at which a running platform has become healthy."""
        return self.run_folder / "healthy"

    @property
    def engine_file(self) -> Path:
        """Name of the engine that the platform runs on."""
        return self.state / "engine"

    @property
    def network_file(self) -> Path:
        """Which driver the platform's network has."""
        return self.state / "network.json"

    @property
    def refused(self) -> Path:
        """Hosts that were refused since the start, offline."""
        return self.state / "refused.json"

    @property
    def failing(self) -> Path:
        """What of the control plane does not keep running."""
        return self.state / "failing.json"

    @property
    def log(self) -> Path:
        return self.state / "logs" / "nerv.log"

    @property
    def run_folder(self) -> Path:
        """Short folder for unix sockets, the same for every start of this platform."""
        return run_base() / hashlib.sha256(str(self.root).encode()).hexdigest()[:8]


def run_base() -> Path:
    """This user's folder for what lives only while platforms run."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir() and os.access(given, os.W_OK) and len(given) < 40:
        return Path(given) / "nerv"
    return Path(tempfile.gettempdir()) / f"nerv-{os.getuid()}"


def private_folder(path: Path) -> Path:
    """Make `path` (0700) where missing. Raises NervError when it cannot be made or belongs to somebody else."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NervError(f"{path} cannot be made: {error.strerror}", "choose a folder that you may write to") from None
    if path.stat().st_uid != os.getuid():
        raise NervError(f"{path} belongs to another user", "remove it, or set XDG_RUNTIME_DIR to a folder of yours")
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file (0600) whole or not at all."""
    private_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def open_state(folder: PlatformFolder) -> None:
    """Make or check `.nerv/`. Raises NervError for a state that is newer than this program, or not readable."""
    marker = folder.state / "format"
    if not folder.state.exists() or not any(folder.state.iterdir()):
        if not os.access(folder.root, os.W_OK):
            raise NervError(f"{folder.root} cannot be written", "choose a folder that you may write to")
        write_private(marker, f"{FORMAT}\n")
        return
    try:
        found = int(marker.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder.state / "data").exists():
            raise NervError(f"{marker} is missing", "`nerv reset` starts this machine's state anew") from None
        write_private(marker, f"{FORMAT}\n")
        return
    except (ValueError, OSError):
        raise NervError(f"{marker} is corrupt", "`nerv reset` starts this machine's state anew") from None
    if found > FORMAT:
        raise NervError(
            f"{folder.state} was written by a newer NERV (format {found}, this one knows {FORMAT})",
            "use the newer NERV, or `nerv reset` to start this machine's state anew",
        )


def find(start: Path | None) -> PlatformFolder:
    """The platform of `-C DIR`, else of the nearest nerv.yaml upwards, else the only one running.

    Raises NervError when there is none, or more than one to choose from.
    """
    if start is not None:
        folder = PlatformFolder(start.resolve())
        if not folder.definition.exists():
            raise NervError(f"{start} holds no {DEFINITION}", f"`nerv init {start}` makes one")
        return folder
    here = Path.cwd()
    for candidate in (here, *here.parents):
        if (candidate / DEFINITION).exists():
            return PlatformFolder(candidate)
    running = list(running_platforms())
    if len(running) == 1:
        return running[0].folder
    if running:
        names = ", ".join(str(platform.folder.root) for platform in running)
        raise NervError(f"several platforms run: {names}", "choose one with -C DIR")
    raise NervError(
        f"no {DEFINITION} here or above, and no platform runs", "`nerv init FOLDER` makes one, or use -C DIR"
    )


@dataclass(frozen=True)
class Running:
    """A platform that runs on this machine now."""

    folder: PlatformFolder
    name: str
    engine: str
    pid: int


def running_pid(folder: PlatformFolder) -> int | None:
    """The pid that holds the platform's lock, or None. The lock dies with its process, so it is never stale."""
    path = folder.state / "lock"
    try:
        with path.open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0) or None
    except OSError:
        return None
    return None


@contextmanager
def hold_lock(folder: PlatformFolder, name: str, engine: str) -> Iterator[None]:
    """Hold the platform for this process and list it as running. Raises NervError when it runs already."""
    private_folder(folder.state)
    lock = os.open(folder.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(lock, 20).decode().strip() or "unknown"
            raise NervError(
                f"{folder.root} runs already (pid {pid})", "`nerv status` shows it, `nerv down` stops it"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        private_folder(run_base())
        entry = private_folder(folder.run_folder) / "platform.json"
        folder.healthy_marker.unlink(missing_ok=True)
        write_private(entry, json.dumps({"folder": str(folder.root), "name": name, "engine": engine}))
        try:
            yield
        finally:
            entry.unlink(missing_ok=True)
    finally:
        os.close(lock)


def running_platforms() -> Iterator[Running]:
    """Every platform of this user that runs now, by folder."""
    for entry in sorted(run_base().glob("*/platform.json")):
        try:
            told = json.loads(entry.read_text(encoding="utf-8"))
            folder = PlatformFolder(Path(told["folder"]))
        except (OSError, ValueError, KeyError):
            continue
        pid = running_pid(folder)
        if pid:
            yield Running(folder, told["name"], told["engine"], pid)
