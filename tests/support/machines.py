"""Machines that are real enough for SSH: a network of its own, and in it machines with their own address, host keys,
processes, mounts and files (an overlay of this machine's), each with a real sshd.

    with lan() as net:
        machine = net.machine("nerv-1", "192.168.1.10")
        net.run(lambda: scenario(machine))      # a coroutine, run where the machine can be reached

Nothing leaves the network: outside of it the addresses belong to somebody else. A machine has no kernel and no systemd
of its own; `systemctl` and the like are stand-ins (tests/support/programs/), and `reboot` starts its processes anew,
from `/mnt` where something was installed there.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
PROGRAMS = Path(__file__).parent / "programs"
_CLONE_NEWNET = 0x40000000
_SEARCH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
SSHD = shutil.which("sshd", path=_SEARCH)
_NEEDED = ("sshd", "ssh", "ip", "unshare", "nsenter", "ping")
PATIENCE = 45.0


def lacking() -> str:
    """What is missing here for machines, or empty."""
    if sys.platform != "linux" or os.geteuid():
        return "machines need root on Linux (namespaces, overlay mounts)"
    missing = [program for program in _NEEDED if not shutil.which(program, path=_SEARCH)]
    return f"machines need {', '.join(missing)}" if missing else ""


needs_machines = pytest.mark.skipif(bool(lacking()), reason=lacking())


def in_network_of(pid: int, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in the network namespace of a process: on a thread of its own, whose children live there too."""
    outcome: list[T | BaseException] = []

    def work() -> None:
        try:
            handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(handle)
            outcome.append(asyncio.run(make()))
        except BaseException as error:  # noqa: BLE001  handed to the caller's thread
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    found = outcome[0]
    if isinstance(found, BaseException):
        raise found
    return found


def _ip(pid: int, *arguments: str) -> None:
    subprocess.run(
        ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": _SEARCH},
    )


@dataclass
class Machine:
    """A running machine."""

    name: str
    address: str
    folder: Path
    process: subprocess.Popen[str]
    interface: str = "eth0"

    @property
    def pid(self) -> int:
        return self.process.pid

    def path(self, absolute: str) -> Path:
        """A file of the machine, reached through /proc because its mounts are its own."""
        return Path(f"/proc/{self.init}/root{self.folder}/root") / absolute.lstrip("/")

    @property
    def init(self) -> int:
        """The process id, here, of the machine's first process."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0])

    def write(self, absolute: str, text: str, mode: int = 0o644) -> None:
        path = self.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def read(self, absolute: str) -> str:
        return self.path(absolute).read_text()

    def exists(self, absolute: str) -> bool:
        return self.path(absolute).exists()

    def shell(self, command: str) -> str:
        """Run a command in the machine, as its console would."""
        done = subprocess.run(
            ["nsenter", f"--target={self.init}", "--all", "--", "chroot", f"{self.folder}/root", "sh", "-c", command],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": _SEARCH},
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def host_key(self, kind: str = "ed25519") -> str:
        """The public host key, `ssh-ed25519 AAAA...`."""
        return " ".join(self.read(f"/etc/ssh/ssh_host_{kind}_key.pub").split()[:2])

    def new_host_key(self) -> None:
        """What a reinstallation, or someone in between, looks like."""
        for kind in ("ed25519", "ecdsa"):
            file = f"/etc/ssh/ssh_host_{kind}_key"
            self.shell(f"rm -f {file}*; ssh-keygen -q -t {kind} -N '' -f {file}")
        self.restart_sshd()

    def restart_sshd(self) -> None:
        """Every connection ends; new ones are taken again at once."""
        self.path("/run/sshd-up").unlink()
        os.kill(self.init, signal.SIGHUP)
        self.wait_for_sshd()

    def wait_for_sshd(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError, IndexError):
                if self.exists("/run/sshd-up"):
                    return
            time.sleep(0.02)
        raise AssertionError(f"sshd of {self.name} is not up; it said: {self.log()}")

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def take_network(self) -> None:
        """Pull the cable."""
        _ip(self.pid, "link", "set", self.interface, "down")

    def give_network(self) -> None:
        _ip(self.pid, "link", "set", self.interface, "up")

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the machine's network (its servers have the machine's address)."""
        return in_network_of(self.pid, make)

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass
class Lan:
    """A network with an operator's place in it (`address`)."""

    folder: Path
    holder: subprocess.Popen[bytes]
    address: str
    prefix: int
    public_key: str
    identity: Path
    machines: dict[str, Machine] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.holder.pid

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine at the operator's place."""
        return in_network_of(self.pid, make)

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs there."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *arguments]

    def add_address(self, address: str) -> None:
        """Somebody (the operator's machine) answers at one more address."""
        _ip(self.pid, "address", "add", f"{address}/{self.prefix}", "dev", "br0")

    def machine(
        self, name: str, address: str, *, files: Mapping[str, str] | None = None, bound: Mapping[str, str] | None = None
    ) -> Machine:
        """Start a machine. `files`: absolute path -> text; `bound`: the same, laid over a file of /proc."""
        folder = self.folder / name
        folder.mkdir()
        for place, text in (bound or {}).items():
            path = folder / "bound" / place.lstrip("/")
            path.parent.mkdir(parents=True)
            path.write_text(text)
        script = PROGRAMS / "machine.sh"
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [
                    *("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"),
                    *("--propagation", "private", "--", "sh", str(script), str(folder), name, str(SSHD)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={"PATH": _SEARCH, "AUTHORIZED_KEY": self.public_key},
            )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "mounted\n", (folder / "log").read_text()
        made = Machine(name, address, folder, process)
        link = f"veth{len(self.machines)}"
        _ip(self.pid, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
        _ip(self.pid, "link", "set", link, "master", "br0", "up")
        _ip(process.pid, "link", "set", "lo", "up")
        _ip(process.pid, "address", "add", f"{address}/{self.prefix}", "dev", "eth0")
        _ip(process.pid, "link", "set", "eth0", "up")
        _ip(process.pid, "route", "add", "default", "via", self.address)
        for program in (PROGRAMS / "machine").iterdir():
            made.write(f"/usr/local/bin/{program.name}", program.read_text(), 0o755)
        for place, text in (files or {}).items():
            made.write(place, text)
        process.stdin.write("go\n")
        process.stdin.flush()
        made.wait_for_sshd()
        self.machines[name] = made
        return made


def device(machine: Machine, path: str, size: int) -> None:
    """Give a machine a disk, as far as its size can be read."""
    place = machine.path(path)
    os.mknod(place, 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    machine.write(f"/sys/class/block/{place.name}/size", f"{size // 512}\n")


@contextmanager
def lan(folder: Path, identity: Path | None = None, *, address: str = "192.168.1.1", prefix: int = 24) -> Iterator[Lan]:
    """A network; everything in it ends with it. The operator's machine is the router too, `identity` logs in."""
    folder.mkdir(parents=True, exist_ok=True)
    if identity is None:
        identity = folder / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(identity)], check=True)
    holder = subprocess.Popen(["unshare", "--net", "--", "sleep", "infinity"])
    try:
        _wait_for_namespace(holder.pid)
        for command in (
            "link set lo up",
            "link add br0 type bridge",
            f"address add {address}/{prefix} dev br0",
            "link set br0 up",
        ):
            _ip(holder.pid, *command.split())
        made = Lan(folder, holder, address, prefix, identity.with_suffix(".pub").read_text().strip(), identity)
        try:
            yield made
        finally:
            for machine in made.machines.values():
                machine.stop()
    finally:
        holder.kill()
        holder.wait()


def _wait_for_namespace(pid: int) -> None:
    own = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError):
            if Path(f"/proc/{pid}/ns/net").readlink() != own and Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                return
        time.sleep(0.01)
    raise AssertionError("waiting for a network namespace")
