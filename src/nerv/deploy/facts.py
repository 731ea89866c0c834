"""What a machine is, asked in one go over SSH: a POSIX shell script (data/facts.sh) that changes nothing there."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from nerv.deploy.ssh import Remote
from nerv.errors import NervError

_SECONDS = 60.0


@dataclass(frozen=True)
class Question:
    """What must be known of the machine beside itself."""

    disks: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """that nobody should have yet"""
    gateway: str = ""
    api: str = ""
    """address of an API server that must answer"""


@dataclass(frozen=True)
class Facts:
    """What the script found. `values` are its lines."""

    values: Mapping[str, str]
    user: str
    elevate: str | None
    """"" for root, `sudo` or `doas` without a password, None where there is no way to become root"""
    clock_offset: float
    """seconds that the machine's clock is ahead of this one's"""

    def value(self, key: str) -> str:
        return self.values.get(key, "")

    def below(self, prefix: str) -> dict[str, str]:
        """The values of `prefix.*`, by what stands behind the dot."""
        return {
            key.removeprefix(f"{prefix}."): value for key, value in self.values.items() if key.startswith(f"{prefix}.")
        }

    def has(self, program: str) -> bool:
        return self.value(f"program.{program}") == "y"

    @property
    def memory(self) -> int:
        """Bytes of RAM; 0 where it is not known."""
        return int(self.value("memory") or 0) * 1024

    @property
    def installer(self) -> bool:
        """Whether it runs a NixOS installer already (nixos-anywhere then leaves kexec out)."""
        return self.value("variant") == "nixos:installer"


def script(question: Question) -> str:
    """The script with its question; nothing in it is secret."""
    given = {
        "disks": " ".join(question.disks),
        "addresses": " ".join(question.addresses),
        "gateway": question.gateway,
        "api": question.api,
    }
    text = (resources.files("nerv.deploy") / "data" / "facts.sh").read_text(encoding="utf-8")
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items()) + text


async def gather(remote: Remote, question: Question) -> Facts:
    """Ask a machine. Raises SshError, and NervError for a machine that has no POSIX shell."""
    elevate = await way_to_root(remote)
    asker = remote.elevated(elevate) if elevate else remote
    begun = time.time()
    done = await asker.run("sh -s", input=script(question), check=False, timeout=_SECONDS)
    values = parse(done.stdout.splitlines())
    if elevate:
        await asker.close()
    if values.get("end") != "y":
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise NervError(f"{remote.target} cannot be asked what it is: {said}", "it needs a POSIX shell")
    offset = float(values["clock"]) - begun
    return Facts(values, remote.target.user, elevate, offset)


def parse(lines: Sequence[str]) -> dict[str, str]:
    """`key=value` lines; others are left out."""
    return {key: value for key, found, value in (line.partition("=") for line in lines) if found}


async def way_to_root(remote: Remote) -> str | None:
    """ "" for root, `sudo` or `doas` where they ask no password, else None. Raises SshError."""
    done = await remote.run(
        "id -u; for way in sudo doas; do $way -n true 2>/dev/null && { echo $way; break; }; done; :", check=False
    )
    words = done.stdout.split()
    if words[:1] == ["0"]:
        return ""
    return words[1] if len(words) > 1 else None
