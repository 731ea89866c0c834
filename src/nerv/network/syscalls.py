"""The Linux calls that Python 3.11 has no names for: namespaces, mounts, capabilities.

Used inside the relay and the pod launcher, so its imports are kept to what starts fast. Every function raises
OSError with the kernel's errno. Numbers are those of the kernel's headers (uapi/linux/sched.h, mount.h, prctl.h).
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_HIGHEST_CAPABILITY = 63
_EINVAL = 22

_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def setns(path: str, kind: int) -> None:
    """Enter the namespace behind `path` (/proc/<pid>/ns/<name> or an open descriptor of one)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(descriptor, kind)
    finally:
        os.close(descriptor)


def enter(descriptor: int, kind: int) -> None:
    """Enter the namespace of an open descriptor."""
    _checked(_libc.setns(descriptor, kind), "setns")


def map_user(
    outer_user: int, outer_group: int, inner_user: int = 0, inner_group: int = 0, *, own: str = "/proc/self"
) -> None:
    """Map one user and one group in a user namespace that this process has just made. `own`: its folder in a /proc.

    setgroups is denied first: the kernel demands that of a process without privileges outside.
    """
    Path(own, "setgroups").write_text("deny")
    Path(own, "uid_map").write_text(f"{inner_user} {outer_user} 1")
    Path(own, "gid_map").write_text(f"{inner_group} {outer_group} 1")


def die_with_parent(number: int) -> None:
    """Have signal `number` sent to this process when its parent ends. Changed credentials clear it: set it again."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def set_dumpable() -> None:
    """Let processes of the same user open /proc/self/ns again, which a change of credentials forbids."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")


def drop_privileges() -> None:
    """Give up every capability for good, also for programs that are executed later."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    for capability in range(_HIGHEST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 and ctypes.get_errno() == _EINVAL:
            break  # past the last capability that this kernel knows
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, struct.pack("=6I", 0, 0, 0, 0, 0, 0)), "capset")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _checked(result, f"mount {kind or source} on {target}")


def bind(source: str, target: str) -> None:
    """Bind `source` with everything mounted below it."""
    mount(source, target, flags=MS_BIND | MS_REC)


def make_read_only(target: str) -> None:
    """Make the mount at `target` and all mounts below it read-only (Linux 5.12 and later)."""
    attributes = struct.pack("=4Q", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(target.encode()),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
    )
    _checked(result, f"make {target} read-only")


def pivot_root(new_root: str) -> None:
    """Make `new_root` (a mount) the root of this mount namespace and let go of the old one."""
    os.chdir(new_root)
    number = _SYS_PIVOT_ROOT[os.uname().machine]
    _checked(_libc.syscall(number, ctypes.c_char_p(b"."), ctypes.c_char_p(b".")), "pivot_root")
    _checked(_libc.umount2(b".", MNT_DETACH), "unmount the old root")
    os.chdir("/")


def set_hostname(name: str) -> None:
    """The host name in this UTS namespace."""
    encoded = name.encode()
    _checked(_libc.sethostname(encoded, len(encoded)), "sethostname")
