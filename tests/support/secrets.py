"""Platforms with every kind of encrypted file, opened by the real sops as their readers would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import platforms

from nerv import documents
from nerv.builders import sops as opening
from nerv.operations import host_keys, keys, scaffold, sops
from nerv.operations.folder import PlatformFolder
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE

LOGIN = "secrets/traefik-system-dashboard-login.sops.yaml"
FILES = (LOGIN, SERVERS_FILE, AGENTS_FILE)
DEFINITION = f"""\
# yaml-language-server: $schema=nerv.schema.json
apiVersion: nerv.dev/v1
kind: Platform
metadata:
  name: home
spec:
  domain: nerv.local
  nodes:
    - name: nerv-1
      address: 192.168.1.10
    - name: worker-1
      role: agent
      address: 192.168.1.11
  network:
    cidr: 192.168.1.0/24
    gateway: 192.168.1.1
  repository:
    url: ssh://git@github.com/you/home.git
  nixos:
    sshKeys: ["{platforms.host_key("ada")} ada"]
  secrets:
    recipients: []   # people
  components:
    metallb:
      pool: [192.168.1.111-192.168.1.150]
"""


async def make(root: Path) -> PlatformFolder:
    """A platform with a server, an agent and a deploy key, committed."""
    root.mkdir()
    (root / "nerv.yaml").write_text(DEFINITION)
    return await scaffold.create(root)


def opens(root: Path, path: str, key: str) -> str | None:
    """What the real sops makes of a file with this private age key alone; None where it cannot open it."""
    done = subprocess.run(
        [sops.program(), "decrypt", str(root / path)],
        env={"SOPS_AGE_KEY": key, "PATH": os.environ["PATH"], "HOME": str(root / "nobody")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


def operator() -> str:
    """The operator's private key."""
    return _age_line(keys.folder_for("home") / keys.OPERATOR)


def flux() -> str:
    """Flux's private key."""
    return _age_line(keys.folder_for("home") / keys.FLUX)


def host(node: str) -> str:
    """The private age key of a node's SSH host key."""
    return opening.ssh.secret(host_keys.file_of("home", node).read_text())


def clear(root: Path, path: str) -> dict[str, Any]:
    """A file as the operator reads it."""
    text = opens(root, path, operator())
    assert text is not None, f"the operator cannot open {path}"
    found: dict[str, Any] = documents.load(text)
    return found


def values(root: Path) -> set[str]:
    """Every secret text of the platform, a line each where it has lines."""
    folder = keys.folder_for("home")
    found = {operator(), flux(), keys.credentials("home").password}
    for path in folder.rglob("ssh_host_ed25519_key"):
        found.update(path.read_text().splitlines()[1:-1])
    servers = clear(root, SERVERS_FILE)
    found |= {servers["k3s-token"], servers["k3s-agent-token"]}
    login = documents.load(servers["flux-git-login"])["stringData"]
    found.update(login.get("identity", "").splitlines()[1:-1])
    found |= {login["password"]} if login.get("password") else set()
    return {value for value in found if value}


def everything_in_git(root: Path) -> str:
    """The text of every object in the repository's history."""
    command = ["git", "-C", str(root), "cat-file", "--batch-all-objects", "--batch"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")


def commit(root: Path) -> None:
    for arguments in (["add", "--all"], ["commit", "--quiet", "--message", "change"]):
        subprocess.run(["git", "-C", str(root), *arguments], check=True)


def files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every text file, with what is in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".git" not in path.parts:
            yield path, path.read_text(errors="replace")


def _age_line(path: Path) -> str:
    return next(line for line in path.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-1"))
