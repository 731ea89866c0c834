"""What can stand between a program and the machine's files without a network namespace: found by trying.

`try_user` and `try_root` run in bare Python processes of their own (`namespaces.isolated_python`); exit code 0 is yes.
"""

from __future__ import annotations

import os
import sys

from nerv.network import syscalls

NAMESPACES = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC


def try_user() -> None:
    """Whether mounts can be made in a user namespace."""
    user, group = os.getuid(), os.getgid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        syscalls.map_user(user, group)
    except OSError as error:
        sys.exit(str(error))
    try_root()


def try_root() -> None:
    """Whether mounts can be made as the user that this process is."""
    try:
        syscalls.unshare(NAMESPACES)
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("tmpfs", "/tmp", "tmpfs")
    except OSError as error:
        sys.exit(str(error))
