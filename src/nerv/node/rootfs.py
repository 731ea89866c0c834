"""The file system of a process pod, built inside the pod's own mount namespace (runs in the launcher, bare Python).

There is no image: a new root on tmpfs shows the machine's own folders read-only, so a program finds its libraries
and cannot change a file of the machine. On top of that:

* /tmp, /run, /dev are the pod's own; /proc is that of its PID namespace, masked as a container runtime does;
* hidden folders (the user's home, NERV's state) are empty, but for what a program needs to run, bound back read-only;
* volumes are bound at their mount paths. Where a mount path does not exist and its parent is the machine's folder,
  the parent is *opened up*: replaced by a tmpfs that holds a bind of every entry, to which the new one is added.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nerv.network import syscalls
from nerv.network.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY

_OWN = frozenset({"proc", "dev", "tmp", "run", "lost+found"})
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What a process of the machine's root could change even without capabilities. All else in /proc is writable, as in
any container: programs set their own names and OOM scores there."""
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""What the kubelet has hidden from a container, for it tells of the machine. `procMount: Unmasked`, which would show
it, is behind a gate that Kubernetes 1.31 has closed by default."""
_MOST_LINKS = 40


class Mount(NamedTuple):
    """`source` of the machine at `target` in the pod; source "tmpfs" is memory."""

    source: str
    target: str
    read_only: bool = False


def build(root: str, hidden: Sequence[str], visible: Sequence[str], mounts: Sequence[Mount]) -> None:
    """Build the new root at the empty folder `root` and make it this process's root."""
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    # Before anything is covered: NERV's folders may themselves be among the hidden.
    sources = [(os.open(mount.source, os.O_PATH) if mount.source != "tmpfs" else -1, mount) for mount in mounts]
    syscalls.mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    _bind_machine(root)
    _make_devices(f"{root}/dev")
    for name in ("tmp", "run"):
        _tmpfs(f"{root}/{name}", "mode=1777" if name == "tmp" else "mode=755")
    _make_proc(root)
    covered = [path for path in sorted({os.path.realpath(path) for path in hidden}) if path != "/"]
    shown = _lost(visible, [*covered, *(f"/{name}" for name in _OWN), *(mount.target for mount in mounts)])
    for path in covered:
        _cover(root + path)
    for descriptor, mount in sorted(sources, key=lambda item: item[1].target.rstrip("/").count("/")):
        _mount_volume(root, descriptor, mount)
    _show(root, shown)
    for path in covered:
        if _is_below(path, tuple(shown)):
            _cover(root + path)
    syscalls.pivot_root(root)


def _tmpfs(path: str, options: str = "mode=755", flags: int = 0) -> None:
    Path(path).mkdir(exist_ok=True)
    syscalls.mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | flags, options)


def _bind_machine(root: str) -> None:
    for entry in os.scandir("/"):
        place = f"{root}/{entry.name}"
        if entry.name in _OWN:
            continue
        if entry.is_symlink():
            Path(place).symlink_to(Path(entry.path).readlink())
        elif entry.is_dir():
            Path(place).mkdir()
            syscalls.bind(entry.path, place)
            syscalls.make_read_only(place)


def _make_devices(dev: str) -> None:
    _tmpfs(dev)
    for name in _DEVICES:
        Path(dev, name).touch()
        syscalls.bind(f"/dev/{name}", f"{dev}/{name}")
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        Path(dev, name).symlink_to(target)
    _tmpfs(f"{dev}/shm", "mode=1777")
    Path(dev, "pts").mkdir()
    syscalls.mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    Path(dev, "ptmx").symlink_to("pts/ptmx")


def _make_proc(root: str) -> None:
    proc = f"{root}/proc"
    Path(proc).mkdir()
    try:
        syscalls.mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        read_only = [f"{root}{path}" for path in _READ_ONLY]
    except PermissionError:
        # Inside a container whose /proc is masked the kernel allows no new one: the machine's serves, and as the
        # machine's processes are in it, nothing there may be written.
        syscalls.bind("/proc", proc)
        read_only = [proc]
    for path in _MASKED:
        _cover(root + path, MS_RDONLY)
    for path in read_only:
        if Path(path).exists():
            if path != proc:
                syscalls.bind(path, path)
            syscalls.make_read_only(path)


def _lost(visible: Sequence[str], covered: Sequence[str]) -> dict[str, int]:
    """What a program needs and would not find below the covered folders: path and an open descriptor of each.

    Covered are hidden folders, those that the pod has of its own (NERV may lie below /tmp) and volumes (so may /tmp).
    """
    names = sorted({name for path in visible for name in (os.path.normpath(path), os.path.realpath(path))})
    return {name: os.open(name, os.O_PATH) for name in names if _is_below(name, covered)}


def _show(root: str, shown: dict[str, int]) -> None:
    """Bind them back, read-only."""
    for path, descriptor in shown.items():
        place = resolve(root, path, directory=stat.S_ISDIR(os.fstat(descriptor).st_mode))
        syscalls.bind(f"/proc/self/fd/{descriptor}", place)
        syscalls.make_read_only(place)
        os.close(descriptor)


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _cover(path: str, flags: int = 0) -> None:
    if Path(path).is_dir() and not Path(path).is_symlink():
        _tmpfs(path, flags=flags)
    elif Path(path).is_file():
        syscalls.bind("/dev/null", path)


def _mount_volume(root: str, descriptor: int, mount: Mount) -> None:
    directory = descriptor < 0 or stat.S_ISDIR(os.fstat(descriptor).st_mode)
    place = resolve(root, mount.target, directory=directory)
    if descriptor < 0:
        _tmpfs(place, "mode=1777")
    else:
        syscalls.bind(f"/proc/self/fd/{descriptor}", place)
        os.close(descriptor)
    if mount.read_only:
        syscalls.make_read_only(place)


def resolve(root: str, target: str, *, directory: bool) -> str:
    """Make the path `target` exist below `root`, links followed as if `root` were /, and return where it really is."""
    here = root
    parts = target.split("/")
    links = 0
    while parts:
        part = parts.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            here = here if here == root else os.path.dirname(here)  # noqa: PTH120  strings throughout, bare and fast
            continue
        place = Path(f"{here}/{part}")
        if place.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                raise OSError(f"{target}: too many levels of symbolic links")
            link = str(place.readlink())
            parts = link.split("/") + parts
            here = root if link.startswith("/") else here
            continue
        if not place.exists():
            _create(here, place, directory=directory or any(parts))
        here = str(place)
    return here


def _create(folder: str, place: Path, *, directory: bool) -> None:
    create = place.mkdir if directory else place.touch
    try:
        create()
    except OSError:
        open_up(folder)
        create()


def open_up(folder: str) -> None:
    """Replace a read-only folder by a tmpfs that binds every entry of it, so that entries can be added."""
    below = os.open(folder, os.O_PATH)
    mode = stat.S_IMODE(os.fstat(below).st_mode)
    old = f"/proc/self/fd/{below}"
    entries = list(os.scandir(folder))
    syscalls.mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode:o}")
    for entry in entries:
        place = Path(folder, entry.name)
        if entry.is_symlink():
            place.symlink_to(Path(old, entry.name).readlink())
            continue
        place.mkdir() if entry.is_dir() else place.touch()
        with contextlib.suppress(PermissionError):  # an entry that this user may not even look at stays empty
            syscalls.bind(f"{old}/{entry.name}", str(place))
    os.close(below)
