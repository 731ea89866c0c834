"""nixos-anywhere: its command line (checked by us, see `FLAGS`) and its phases.

It takes a flag that it does not know for the machine to install, so no flag leaves here unchecked and the machine is
always named by --target-host.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nerv.deploy.ssh import Target
from nerv.errors import NervError
from nerv.platform import versions

# flag -> how many values follow (nixos-anywhere 1.13)
FLAGS: dict[str, int] = {
    "--flake": 1,
    "--target-host": 1,
    "-i": 1,
    "-p": 1,
    "--ssh-port": 1,
    "--ssh-option": 1,
    "-L": 0,
    "--print-build-logs": 0,
    "--env-password": 0,
    "--kexec": 1,
    "--force-kexec": 0,
    "--kexec-extra-flags": 1,
    "--ssh-store-setting": 2,
    "--post-kexec-ssh-port": 1,
    "--extra-files": 1,
    "--chown": 2,
    "--disk-encryption-keys": 2,
    "--no-substitute-on-destination": 0,
    "--no-use-machine-substituters": 0,
    "--debug": 0,
    "--show-trace": 0,
    "--option": 2,
    "--from": 1,
    "--build-on": 1,
    "--phases": 1,
    "--disko-mode": 1,
    "--no-disko-deps": 0,
}
# what NERV says itself; a second value would win over it without a word
_OURS = frozenset({"--flake", "--target-host", "--phases", "--extra-files", "--build-on", "-i", "-p", "--ssh-port"})
PHASES = ("kexec", "disko", "install", "reboot")


@dataclass(frozen=True)
class Install:
    """One run of it."""

    flake: str
    """such as git+file:///home/you/home?dir=nixos"""
    node: str
    target: Target
    phases: tuple[str, ...]
    build_on: str
    """local or remote"""
    extra_files: Path | None = None
    identity: Path | None = None
    password: bool = False
    """log in with the password in $SSHPASS"""
    more: tuple[str, ...] = ()
    """further arguments from the user"""


def program() -> tuple[str, ...]:
    """How nixos-anywhere is called here: the one on PATH, else the pinned one through Nix. Raises NervError."""
    if found := shutil.which("nixos-anywhere"):
        return (found,)
    if not shutil.which("nix"):
        raise NervError("neither `nixos-anywhere` nor `nix` is on PATH", "install Nix: https://nixos.org/download")
    return pinned()


def pinned() -> tuple[str, ...]:
    """The pinned version through Nix."""
    reference = f"github:nix-community/nixos-anywhere/{versions.NIXOS_ANYWHERE}"
    return ("nix", "--extra-experimental-features", "nix-command flakes", "run", reference, "--")


def arguments(install: Install) -> list[str]:
    """Its arguments. Raises NervError for those of the user that it does not know or that NERV sets itself."""
    check(install.more)
    taken = [flag for flag in install.more if flag in _OURS]
    if taken:
        raise NervError(f"{', '.join(taken)} is set by NERV itself", "`nerv deploy --help` has options of its own")
    made = ["--flake", f"{install.flake}#{install.node}", "--target-host", install.target.login]
    if install.target.port != 22:
        made += ["-p", str(install.target.port)]
    if install.identity:
        made += ["-i", str(install.identity)]
    if install.password:
        made.append("--env-password")
    made += ["--phases", ",".join(install.phases), "--build-on", install.build_on]
    if install.extra_files:
        made += ["--extra-files", str(install.extra_files)]
    made += install.more
    check(made)
    return made


def check(given: Sequence[str]) -> None:
    """Raises NervError for an unknown flag, a missing value, or a word that is neither."""
    position = 0
    while position < len(given):
        flag = given[position]
        if flag not in FLAGS:
            raise NervError(f"nixos-anywhere knows no argument `{flag}`", f"it knows {', '.join(FLAGS)}")
        values = given[position + 1 : position + 1 + FLAGS[flag]]
        if len(values) < FLAGS[flag] or any(value.startswith("--") for value in values):
            raise NervError(f"{flag} of nixos-anywhere needs {FLAGS[flag]} value{'s' if FLAGS[flag] > 1 else ''}")
        position += 1 + FLAGS[flag]
