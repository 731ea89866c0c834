"""Starts one program inside a pod; runs as a bare Python process of its own (`namespaces.isolated_python`).

`main` makes a container: it joins the pod's user and network namespaces where it has them, makes mount, PID, UTS and
IPC namespaces where it may, builds the file system, gives up all capabilities and executes the program (as PID 1). The
launcher stays as its parent and ends with its exit code (128 + signal). `enter` runs one more program beside it.

The specification is read from an inherited descriptor, never from arguments: it holds the environment. Progress goes
to another one, JSON lines: {"pid": n}, then nothing more or {"error": "...", "code": n}.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from pathlib import Path
from typing import Any, NoReturn

from nerv.network import syscalls
from nerv.node import rootfs

_NOT_FOUND, _NOT_STARTED = 127, 126
_NAMESPACES = (
    ("net", syscalls.CLONE_NEWNET),
    ("uts", syscalls.CLONE_NEWUTS),
    ("ipc", syscalls.CLONE_NEWIPC),
    ("pid", syscalls.CLONE_NEWPID),
    ("mnt", syscalls.CLONE_NEWNS),
)
_PARENT_ENDED = signal.SIGUSR1
_AWAITED = {signal.SIGCHLD, _PARENT_ENDED}
_MADE = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC
_WITH_USERS = ("pod", "user")
"""Isolations (`ContainerSpec.isolation`) with user namespaces; "root" has the other ones, "none" has none."""


def main(specification: int, progress: int) -> None:
    """Start a container by the specification (`processes.ContainerSpec` as JSON) and wait for its end."""
    spec = _read(specification)
    try:
        _ENTRANCES[spec["isolation"]](spec)
    except OSError as error:
        _fail(progress, f"cannot enter the pod's namespaces: {error}", _NOT_STARTED)
    _fork(progress, lambda: _prepare(spec), spec)


def _enter_pod(spec: dict[str, Any]) -> None:
    network = os.open(spec["network_namespace"], os.O_RDONLY | os.O_CLOEXEC)
    syscalls.setns(spec["user_namespace"], syscalls.CLONE_NEWUSER)
    syscalls.enter(network, syscalls.CLONE_NEWNET)
    _follow_parent(spec["parent"])
    syscalls.unshare(_MADE)


def _enter_user(spec: dict[str, Any]) -> None:
    """Without a network namespace: a user namespace that owns the others."""
    user, group = os.getuid(), os.getgid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    syscalls.map_user(user, group)
    syscalls.set_dumpable()
    _enter_root(spec)


def _enter_root(spec: dict[str, Any]) -> None:
    _follow_parent(spec["parent"])
    syscalls.unshare(_MADE)


def _enter_nothing(spec: dict[str, Any]) -> None:
    """What the program leaves behind is given to the launcher, which ends it."""
    _follow_parent(spec["parent"])
    syscalls.adopt_orphans()


_ENTRANCES = {"pod": _enter_pod, "user": _enter_user, "root": _enter_root, "none": _enter_nothing}


def enter(specification: int, progress: int) -> None:
    """Run a program in the namespaces of the container whose first process is `spec["pid"]`, and wait for its end."""
    spec = _read(specification)
    isolation = spec["isolation"]
    try:
        folder = f"/proc/{spec['pid']}/ns"
        joined = [(name, kind) for name, kind in _NAMESPACES if name != "net" or isolation == "pod"]
        others = [(os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in joined]
        user = os.open(f"{folder}/user", os.O_RDONLY | os.O_CLOEXEC)
        if isolation in _WITH_USERS:
            # The pod's namespaces belong to a user namespace; the program's own is inside of that.
            syscalls.setns(spec["user_namespace"], syscalls.CLONE_NEWUSER)
        for descriptor, kind in others if isolation != "none" else ():
            syscalls.enter(descriptor, kind)
        if isolation in _WITH_USERS:
            syscalls.enter(user, syscalls.CLONE_NEWUSER)
        _follow_parent(spec["parent"])
        if isolation == "none":
            syscalls.adopt_orphans()
    except OSError as error:
        _fail(progress, f"cannot enter the container: {error}", _NOT_STARTED)
    _fork(progress, lambda: _take_terminal(spec), spec)


def _read(descriptor: int) -> dict[str, Any]:
    with os.fdopen(descriptor, "rb") as file:
        spec: dict[str, Any] = json.load(file)
    return spec


def _follow_parent(parent: int) -> None:
    syscalls.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started the launcher is gone")


def _outlive_parent(parent: int) -> None:
    """Be told of the parent's end instead of dying with it: nobody else ends what the program has started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    syscalls.die_with_parent(_PARENT_ENDED)
    if os.getppid() != parent:
        sys.exit("the process that started the launcher is gone")


def _fail(progress: int, message: str, code: int) -> NoReturn:
    os.write(progress, json.dumps({"error": message, "code": code}).encode() + b"\n")
    os._exit(code)


def _fork(progress: int, prepare: Any, spec: dict[str, Any]) -> NoReturn:
    os.set_inheritable(progress, False)
    adopts = spec["isolation"] == "none"
    if adopts:
        _outlive_parent(spec["parent"])
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        syscalls.die_with_parent(signal.SIGKILL)
        try:
            prepare()
            os.chdir(spec["working_folder"])
        except OSError as error:
            _fail(progress, str(error), _NOT_STARTED)
        _execute(progress, spec["command"], spec["environment"])
    os.write(progress, json.dumps({"pid": child}).encode() + b"\n")
    _wait(child, progress, adopts=adopts)


def _prepare(spec: dict[str, Any]) -> None:
    if spec["isolation"] == "none":
        return
    syscalls.set_hostname(spec["hostname"])
    own = os.open("/proc/self", os.O_PATH | os.O_CLOEXEC)  # of the machine's /proc: the pod's may be read-only
    mounts = [rootfs.Mount(*mount) for mount in spec["mounts"]]
    rootfs.build(spec["root"], spec["hidden"], spec["visible"], mounts)
    if spec["isolation"] not in _WITH_USERS:
        return
    # A user namespace below the cluster's: the program sees the user that its pod asks for, and nothing it could do
    # there reaches the namespaces of the network or of other pods.
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    syscalls.map_user(0, 0, spec["user"], spec["group"], own=f"/proc/self/fd/{own}")


def _take_terminal(spec: dict[str, Any]) -> None:
    if spec["terminal"]:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _execute(progress: int, command: list[str], environment: dict[str, str]) -> NoReturn:
    try:
        syscalls.drop_privileges()
        syscalls.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGPIPE, signal.SIGINT):  # Python's own settings are not the program's
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        _fail(progress, f'exec: "{command[0]}": executable file not found in $PATH', _NOT_FOUND)
    except OSError as error:
        _fail(progress, f'exec: "{command[0]}": {os.strerror(error.errno or 0).lower()}', _NOT_STARTED)


def _wait(child: int, progress: int, *, adopts: bool) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the program ends the launcher, nothing else
    os.close(progress)
    for descriptor in (0, 1, 2):
        os.close(descriptor)  # readers of the program's output shall see its end
    status = _awaited(child) if adopts else os.waitpid(child, 0)[1]
    if adopts:
        _end_orphans()
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)


def _awaited(child: int) -> int:
    """The wait status of the program, which ends with the parent at the latest. Reaps what it left behind meanwhile.

    Signals are taken and not handled: one that comes between a look and a wait would be seen only after the wait.
    """
    while True:
        if signal.sigwait(_AWAITED) == _PARENT_ENDED:
            os.kill(child, signal.SIGKILL)
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == child:
                return found[1]


def _end_orphans() -> None:
    """End every other process that this one is the parent of by now."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while left := [int(number) for number in children.read_text().split()]:
        for number in left:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
