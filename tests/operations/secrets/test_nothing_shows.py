"""Secrets stay where they belong: not in arguments, other environments, output, logs, Git's history or rendered Nix.

The command line runs in a process of its own, with programs in front of the real sops and git that write down how they
were called.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyrage
import pytest
from tests.support import secrets
from tests.support.secrets import LOGIN

from nerv.operations.folder import PlatformFolder
from nerv.rendering.secrets import SERVERS_FILE

# What the kernel holds of the call itself, before the real program takes its place.
RECORDER = """#!/bin/sh
tr '\\0' ' ' < /proc/$$/cmdline >> {log}.arguments
echo >> {log}.arguments
sed -z 's/=.*//' /proc/$$/environ | tr '\\0' '\\n' >> {log}.names
exec {program} "$@"
"""


@dataclass(frozen=True)
class Watched:
    """The command line with its children watched."""

    folder: PlatformFolder
    bin: Path
    log: Path

    def nerv(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Run NERV with debug logs. Everything it wrote."""
        done = subprocess.run(
            [self.bin / "python", "-m", "nerv", "-C", str(self.folder.root), "--debug", *arguments],
            env={
                **os.environ,
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "PYTHONPATH": os.pathsep.join(sys.path),
                "TMPDIR": str(self.temporary),
            },
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def temporary(self) -> Path:
        """Where the command line may work."""
        return self.bin.parent / "temporary"

    def arguments(self) -> str:
        path = self.log.with_suffix(".arguments")
        return path.read_text() if path.exists() else ""

    def environment_names(self) -> set[str]:
        return set(self.log.with_suffix(".names").read_text().split())


@pytest.fixture
def watched(folder: PlatformFolder, tmp_path: Path) -> Watched:
    programs, log = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir()
    # NERV takes the sops beside its Python
    (programs / "python").symlink_to(sys.executable)
    for name in ("sops", "git"):
        real = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert real
        (programs / name).write_text(RECORDER.format(log=log, program=real))
        (programs / name).chmod(stat.S_IRWXU)
    watched = Watched(folder, programs, log)
    watched.temporary.mkdir()
    return watched


def check(watched: Watched, said: str, known: set[str]) -> None:
    """None of the `known` secrets stands anywhere but in the operator's folder."""
    places = {
        "arguments": watched.arguments(),
        "output": said,
        "history": secrets.everything_in_git(watched.folder.root),
        "repository": "".join(text for _, text in secrets.files_below(watched.folder.root)),
    }
    shown = {place for place, text in places.items() for value in known if value in text}
    assert shown == set()


WHAT: tuple[tuple[str, ...], ...] = (
    ("data-keys",),
    ("operator",),
    ("operator", "--keep"),
    ("flux",),
    ("host", "nerv-1"),
    ("k3s-token",),
    ("k3s-agent-token",),
    ("dashboards",),
    ("git-login",),
)


async def test_rotations_show_nothing(watched: Watched) -> None:
    root, known, said = watched.folder.root, secrets.values(watched.folder.root), ""
    for what in WHAT:
        said += watched.nerv("secrets", "rotate", *what)
        secrets.commit(root)
        known |= secrets.values(root)
    assert len(known) > 30
    assert watched.arguments().count("sops rotate") > 10
    check(watched, said, known)
    ours = {name for name in watched.environment_names() if name.startswith(("SOPS_", "NERV_", "AGE_"))}
    assert ours <= {
        "SOPS_AGE_KEY",
        "SOPS_AGE_RECIPIENTS",
        "SOPS_PGP_FP",
        "SOPS_KMS_ARN",
        "SOPS_GCP_KMS_IDS",
        "SOPS_AZURE_KEYVAULT_URLS",
    }
    assert list(watched.temporary.iterdir()) == []


async def test_a_token_given_on_stdin_shows_nowhere(watched: Watched) -> None:
    path = watched.folder.definition
    path.write_text(path.read_text().replace("ssh://git@github.com/", "https://github.com/"))
    said = watched.nerv("render")
    said += watched.nerv("secrets", "rotate", "git-login", given="ghp_the-token-itself\n")
    secrets.commit(watched.folder.root)
    known = secrets.values(watched.folder.root)
    assert "ghp_the-token-itself" in known
    check(watched, said, known)


Break = Callable[[PlatformFolder], None]


def _damage(path: str) -> Break:
    def damage(folder: PlatformFolder) -> None:
        text = (folder.root / path).read_text()
        (folder.root / path).write_text(text.replace(",data:", ",data:AAAA", 1))

    return damage


def _closed(folder: PlatformFolder) -> None:
    stranger = str(pyrage.x25519.Identity.generate())
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "nerv/home/operator.agekey"
    path.write_text(f"{stranger}\n")


@pytest.mark.parametrize("broken", [_damage(LOGIN), _damage(SERVERS_FILE), _closed], ids=["login", "servers", "key"])
async def test_errors_show_nothing(watched: Watched, broken: Break) -> None:
    known = secrets.values(watched.folder.root)
    broken(watched.folder)
    said = ""
    said += watched.nerv("secrets", "rotate", "operator", code=1)
    said += watched.nerv("secrets", "check", code=1)
    said += watched.nerv("secrets", "show", SERVERS_FILE, "nothing", code=1)
    check(watched, said, known)
    assert "AGE-SECRET-KEY" not in said + watched.arguments()
