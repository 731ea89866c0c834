"""Containers as processes of this machine, seen from NERV: started through the launcher, held by their own handle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nerv import process
from nerv.errors import NervError
from nerv.network.driver import PodNetwork
from nerv.network.namespaces import PACKAGES, isolated_python
from nerv.node import rewriting
from nerv.node.rootfs import Mount

_LAUNCHER = "nerv.node.launcher"


class StartError(NervError):
    """A program could not be started; `code` is the exit code that a container runtime reports (127, 126)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class ContainerSpec:
    """All that the launcher needs. `root` is an empty folder, `hidden` what the program must not see of the machine,
    `visible` what it needs all the same; `user` and `group` are the numbers that it sees itself as."""

    network: PodNetwork
    hostname: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    root: Path
    mounts: tuple[Mount, ...] = ()
    hidden: tuple[Path, ...] = ()
    visible: tuple[Path, ...] = field(default_factory=lambda: python_folders())
    working_folder: str = "/"
    user: int = 0
    group: int = 0
    stdin: bool = False
    paths: tuple[tuple[str, str], ...] = ()
    """Without mounts: paths as the container says them, and where they really are."""

    @property
    def isolation(self) -> str:
        """ "pod" where the pod has a network of its own, else what stands between it and the machine."""
        return self.network.local.isolation if self.network.local else "pod"


def python_folders() -> tuple[Path, ...]:
    """What this Python and NERV need to run: the interpreter, its libraries, the virtual environment, the package."""
    return tuple(dict.fromkeys((Path(sys.prefix), Path(sys.base_prefix), PACKAGES / "nerv")))


class ContainerProcess:
    """A running program: its first process (PID 1 inside) and the launcher that waits for it."""

    def __init__(self, spec: ContainerSpec, launcher: process.Child, pid: int) -> None:
        self.spec = spec
        self.pid = pid
        self._launcher = launcher

    @property
    def user_namespace(self) -> str:
        """The one that the launcher has made, where the pod's network has none."""
        return f"/proc/{self._launcher.pid}/ns/user"

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        return self._launcher.handle.stdin

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        return self._launcher.handle.stdout

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        return self._launcher.handle.stderr

    async def wait(self) -> int:
        """The exit code; 128 + number when a signal ended it."""
        code = await self._launcher.wait()
        return 128 - code if code < 0 else code

    def signal(self, number: int) -> None:
        """Send a signal to the first process, as a container runtime does; one that has ended is no error."""
        if self._launcher.code is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    async def stop(self, grace: float) -> int:
        """SIGTERM, then SIGKILL after `grace` seconds. Returns the exit code."""
        if grace > 0:
            self.signal(signal.SIGTERM)
            try:
                return await asyncio.wait_for(self.wait(), grace)
            except TimeoutError:
                pass
        self.signal(signal.SIGKILL)
        return await self.wait()


async def start(spec: ContainerSpec) -> ContainerProcess:
    """Start a container. Raises StartError."""
    spec.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    order = {
        "isolation": spec.isolation,
        "user_namespace": spec.network.user_namespace,
        "network_namespace": spec.network.network_namespace,
        "hostname": spec.hostname[:63],
        "command": list(spec.command),
        "environment": dict(spec.environment),
        "root": str(spec.root),
        "mounts": [list(mount) for mount in spec.mounts],
        "hidden": [str(path) for path in spec.hidden],
        "visible": [str(path) for path in spec.visible],
        "working_folder": spec.working_folder,
        "user": spec.user,
        "group": spec.group,
    }
    stdin = asyncio.subprocess.PIPE if spec.stdin else asyncio.subprocess.DEVNULL
    return await _launch("main", spec, order, stdin, asyncio.subprocess.PIPE)


async def enter(
    container: ContainerProcess, command: tuple[str, ...], *, stdin: bool = False, terminal: int | None = None
) -> ContainerProcess:
    """Run `command` inside a running container, on the open `terminal` when one is given. Raises StartError."""
    spec = container.spec
    order = {
        "isolation": spec.isolation,
        "user_namespace": spec.network.user_namespace or container.user_namespace,
        "pid": container.pid,
        "command": [rewriting.replacer(spec.paths)(word) for word in command],
        "environment": dict(spec.environment) | ({"TERM": "xterm"} if terminal is not None else {}),
        "working_folder": spec.working_folder,
        "terminal": terminal is not None,
    }
    if terminal is not None:
        return await _launch("enter", spec, order, terminal, terminal)
    source = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
    return await _launch("enter", spec, order, source, asyncio.subprocess.PIPE)


async def _launch(
    function: str, spec: ContainerSpec, order: dict[str, Any], stdin: int, output: int
) -> ContainerProcess:
    specification = os.memfd_create("container")
    readable, writable = os.pipe()
    try:
        os.write(specification, json.dumps({**order, "parent": os.getpid()}).encode())
        os.lseek(specification, 0, os.SEEK_SET)
        launcher = await process.start(
            isolated_python(_LAUNCHER, function, str(specification), str(writable)),
            env={"PATH": os.environ.get("PATH", os.defpath)},
            clean_env=True,
            stdin=stdin,
            stdout=output,
            stderr=output,
            pass_fds=(specification, writable),
        )
    except BaseException:
        os.close(readable)
        raise
    finally:
        os.close(specification)
        os.close(writable)
    try:
        pid, problem, code = await _progress(readable)
    except asyncio.CancelledError:
        launcher.signal(signal.SIGKILL)
        raise
    if pid and not problem:
        return ContainerProcess(spec, launcher, pid)
    said = b"" if pid or launcher.handle.stderr is None else await launcher.handle.stderr.read()
    await launcher.wait()
    raise StartError(problem or f"the launcher failed: {said.decode(errors='replace').strip()[-500:]}", code)


async def _progress(descriptor: int) -> tuple[int, str, int]:
    """Read what the launcher reports until the program is executed: (pid, problem, exit code of the problem)."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor))
    pid, problem, code = 0, "", 128
    try:
        for line in (await reader.read()).splitlines():
            report = json.loads(line)
            pid = report.get("pid", pid)
            problem, code = report.get("error", problem), report.get("code", code)
    finally:
        transport.close()
    return pid, problem, code
