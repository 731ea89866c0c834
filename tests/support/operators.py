"""An operator: a platform's folder, keys and login, at his place in a network of test machines.

Folders are prepared once for all tests (`prepare`) and copied for each: init, render, encrypt and commit take seconds.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import Home
from tests.support.machines import PROGRAMS, Lan, Machine, device

from nerv.deploy.preflight import GIBI
from nerv.operations import console_image, imaging

TOKEN = "ghp_never-used"
IMAGE = gzip.compress(bytes(range(256)) * 4096, mtime=0)
"""Stands for the console's image."""
WORKER = "    - {name: worker-1, role: agent, address: 192.168.1.20}\n"
# what `nerv bootstrap` does once GitHub was asked
_SET_LOGIN = """
import asyncio, os, pathlib
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets.git_login import set_git_login
asyncio.run(set_git_login(PlatformFolder(pathlib.Path.cwd()), {"password": os.environ["GIT_LOGIN"]}))
"""


@dataclass(frozen=True)
class Template:
    """Prepared folders, by name, and the SSH key that may log in to their machines."""

    base: Path
    identity: Path


def prepare(base: Path) -> Template:
    """`one`: the scaffolded platform; `two`: the same with a worker."""
    identity = base / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(identity)], check=True)
    public = identity.with_suffix(".pub").read_text().strip()
    (base / "one").mkdir()
    home = Home.at(base / "one")
    home.nerv("init", str(home.folder))
    definition = home.folder / "nerv.yaml"
    definition.write_text(definition.read_text().replace("sshKeys: []", f"sshKeys: [{public}]"))
    home.nerv("render")
    set_login(home, TOKEN)
    home.commit("keys")
    # the image is built in a test of its own
    images = home.folder / ".nerv" / "images"
    images.mkdir(mode=0o700)
    (images / imaging.ARCHIVE).write_bytes(IMAGE)
    (images / f"{imaging.ARCHIVE}.sources").write_text(console_image.sources())
    shutil.copytree(base / "one", base / "two", symlinks=True)
    home = Home.at(base / "two")
    definition = home.folder / "nerv.yaml"
    text = definition.read_text().replace("    - name: nerv-1\n", f"{WORKER}    - name: nerv-1\n")
    # the console's image goes to machines in tests/deploy/test_deploy.py
    definition.write_text(text.replace("console: {}", "console: {enabled: false}"))
    home.nerv("render")
    home.commit("a worker")
    return Template(base, identity)


def set_login(home: Home, token: str) -> None:
    """Flux's login to the repository."""
    home.environment["GIT_LOGIN"] = token
    home.run(sys.executable, "-c", _SET_LOGIN)


class Operator:
    """A copy of a prepared folder, and the command line run in a network."""

    def __init__(self, net: Lan, base: Path, template: Template, which: str = "one") -> None:
        self.net = net
        shutil.copytree(template.base / which, base, symlinks=True, dirs_exist_ok=True)
        self.home = Home.at(base)
        self.home.environment["PATH"] = f"{PROGRAMS / 'operator'}:{self.home.environment['PATH']}"

    @property
    def keys(self) -> Path:
        """The operator's folder of the platform."""
        return Path(self.home.environment["XDG_CONFIG_HOME"]) / "nerv" / "home"

    def nerv(
        self, *arguments: str, code: int = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = self.net.command(sys.executable, "-m", "nerv", *arguments)
        environment = {**self.home.environment, **(env or {})}
        try:
            done = subprocess.run(
                command, cwd=self.home.folder, env=environment, capture_output=True, text=True, timeout=180, check=False
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"").decode(errors="replace")
            raise AssertionError(f"`nerv {' '.join(arguments)}` did not end within 180 s; it said:\n{said}") from None
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def deploy(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        return self.nerv("deploy", *arguments, "-i", str(self.net.identity), code=code, env=env)

    @property
    def record(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.home.folder / ".nerv" / "deploy" / "nerv-1.json").read_text())
        return found

    def anywhere(self) -> list[str]:
        """The phases that nixos-anywhere was run with."""
        log = Path(self.home.environment["NERV_TEST_FOLDER"]) / "anywhere.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.partition("--phases ")[2].split()[0] for line in lines]


def debian(net: Lan, **bound: str) -> Machine:
    """A machine that could be installed."""
    made = net.machine("debian", "192.168.1.10", bound={f"/proc/{key}": text for key, text in bound.items()})
    made.write("/etc/os-release", 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    made.write("/sys/firmware/efi/fw_platform_size", "64\n")
    made.write("/sys/kernel/kexec_loaded", "0\n")
    device(made, "/dev/sda", 64 * GIBI)
    return made


def unit(machine: Machine, name: str, state: str, journal: str = "", restarts: int = 0) -> None:
    """What systemd says of a unit: `active/running`, and its journal."""
    active, sub = state.split("/")
    text = f"ActiveState={active}\nSubState={sub}\nResult=success\nNRestarts={restarts}\n"
    machine.write(f"/standin/journal/{name}", journal)
    machine.write(f"/standin/units/{name}", text)


OLD = "/nix/store/00000000000000000000000000000000-nixos-system-old"
NEW = "/nix/store/11111111111111111111111111111111-nixos-system-new"


class Fleet:
    """A server and a worker as NERV would have installed them, each with an old and a new system."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.server = self._machine("nerv-1", "192.168.1.10")
        self.worker = self._machine("worker-1", "192.168.1.20")
        self.log = Path(operator.home.environment["NERV_TEST_FOLDER"]) / "rebuild.log"

    def _machine(self, name: str, address: str) -> Machine:
        made = self.operator.net.machine(name, address)
        key = self.operator.keys / "hosts" / name / "ssh_host_ed25519_key"
        made.write("/etc/ssh/ssh_host_ed25519_key", key.read_text(), 0o600)
        made.shell("ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key > /etc/ssh/ssh_host_ed25519_key.pub")
        made.restart_sshd()
        # machines share this machine's kernel; each has starts of its own
        made.write("/standin/boot_id", "0\n")
        made.shell("mount --bind /standin/boot_id /proc/sys/kernel/random/boot_id")
        for system in (OLD, NEW):
            script = '#!/bin/sh\nmkdir -p /nix/var/nix/profiles\nexec ln -sfn "$4" "$2"\n'
            made.write(f"{system}/sw/bin/nix-env", script, 0o755)
        self.restore(made)
        return made

    def restore(self, machine: Machine) -> None:
        """The old system runs, the new one would work."""
        for system, network in ((OLD, "ip link set eth0 up\n"), (NEW, "")):
            script = f'#!/bin/sh\n{network}[ "$1" = boot ] || ln -sfn {system} /run/current-system\n'
            machine.write(f"{system}/bin/switch-to-configuration", script, 0o755)
        machine.shell(f"ln -sfn {OLD} /run/current-system; mkdir -p /standin; rm -f /standin/timers/*")
        unit(machine, "k3s", "active/running")

    def update(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        return self.operator.deploy("--update", *arguments, code=code, **env)

    def system(self) -> str:
        return self.worker.shell("readlink /run/current-system").strip()

    def rebuilds(self) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines()] if self.log.exists() else []
