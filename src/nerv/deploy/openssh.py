"""The `ssh` that other programs are given: the real one, behind a script that pins the host key.

nixos-anywhere tells ssh to accept any host key (StrictHostKeyChecking=no, /dev/null as known_hosts), and then sends the
node's private host key. The first value of an option counts for ssh, so a script of the same name that comes first on
PATH has the last word. The same script serves nixos-rebuild and `nix copy`.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from nerv.deploy.ssh import Target
from nerv.deploy.trust import HostKey
from nerv.errors import NervError


def real_ssh() -> str:
    """The program ssh. Raises NervError where there is none."""
    found = shutil.which("ssh")
    if found is None:
        raise NervError("`ssh` is not installed or not on PATH", "install the OpenSSH client")
    return found


def known_hosts(targets: Sequence[Target], keys: Sequence[HostKey]) -> str:
    """The lines that trust `keys` for the targets and nothing else."""
    places = [target.host if target.port == 22 else f"[{target.host}]:{target.port}" for target in targets]
    return "".join(f"{place} {key.line}\n" for place in dict.fromkeys(places) for key in keys)


def options(folder: Path) -> list[str]:
    """ssh's options that pin the keys written in `folder`."""
    return [
        f"-oUserKnownHostsFile={folder / 'known_hosts'}",
        "-oGlobalKnownHostsFile=/dev/null",
        "-oStrictHostKeyChecking=yes",
        "-oUpdateHostKeys=no",
        "-oServerAliveInterval=10",
        "-oServerAliveCountMax=3",
    ]


def script(program: str, folder: Path) -> str:
    """The text of the script `ssh`."""
    return f'#!/bin/sh\nexec {shlex.join([program, *options(folder)])} "$@"\n'


def install(folder: Path, targets: Sequence[Target], keys: Sequence[HostKey]) -> None:
    """Write `known_hosts` and `bin/ssh` into `folder` (0700)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "bin").mkdir(mode=0o700, exist_ok=True)
    (folder / "known_hosts").write_text(known_hosts(targets, keys), encoding="utf-8")
    wrapper = folder / "bin" / "ssh"
    wrapper.write_text(script(real_ssh(), folder), encoding="utf-8")
    wrapper.chmod(0o700)


def environment(folder: Path) -> Mapping[str, str]:
    """What makes other programs use it."""
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
