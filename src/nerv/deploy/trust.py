"""Which host key to believe. Nothing is believed blindly: a key is one that NERV made, one that the user's known_hosts
names, one whose fingerprint the user has given, or one that the user confirms when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from typing_extensions import override

from nerv.errors import NervError

# in the order in which a machine's keys are asked for: what NERV makes first
ALGORITHMS: tuple[tuple[str, ...], ...] = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


@dataclass(frozen=True)
class HostKey:
    """A public host key: `ssh-ed25519 AAAA...` without a comment."""

    line: str

    @classmethod
    def parse(cls, text: str) -> HostKey:
        """From a line of a .pub file. Raises NervError for what is no key."""
        try:
            return cls.of(asyncssh.import_public_key(text.strip()))
        except (asyncssh.KeyImportError, ValueError):
            raise NervError("this is not an SSH host key", "one line such as `ssh-ed25519 AAAA...`") from None

    @classmethod
    def of(cls, key: asyncssh.SSHKey) -> HostKey:
        algorithm, data = key.export_public_key("openssh").decode().split()[:2]
        return cls(f"{algorithm} {data}")

    @property
    def key(self) -> asyncssh.SSHKey:
        return asyncssh.import_public_key(self.line)

    @property
    def fingerprint(self) -> str:
        """`SHA256:...`, as ssh and ssh-keygen show it."""
        return str(self.key.get_fingerprint("sha256"))

    @override
    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.line.partition(' ')[0]})"


@dataclass(frozen=True)
class Word:
    """What the user says about machines that NERV has not installed yet."""

    accepted: tuple[str, ...] = ()
    """fingerprints given with --accept-host-key"""
    known_hosts: Path | None = None
    ask: Callable[[str, HostKey], bool] | None = None
    """asks at the terminal; None where nobody can be asked"""


def choose(word: Word, host: str, port: int, offered: Sequence[HostKey]) -> HostKey:
    """The key to trust among those that a machine offers. Raises NervError without the user's word for any."""
    known = _known(word.known_hosts, host, port)
    for key in offered:
        if key in known or key.fingerprint in word.accepted:
            return key
    place = host if port == 22 else f"{host}, port {port}"
    shown = ", ".join(str(key) for key in offered)
    if known:
        raise NervError(
            f"the host key of {place} is not the one in {word.known_hosts}: it offers {shown}",
            "someone may stand in between; if the machine was installed anew, `ssh-keygen -R` removes the old key",
        )
    if word.accepted:
        raise NervError(
            f"the host key of {place} is not an accepted one: it offers {shown}",
            "compare with what the machine's own console shows (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)",
        )
    if word.ask and word.ask(place, offered[0]):
        return offered[0]
    raise NervError(
        f"the host key of {place} is not known: {shown}",
        f"compare it with the machine's own console, then add --accept-host-key {offered[0].fingerprint}",
    )


def _known(file: Path | None, host: str, port: int) -> frozenset[HostKey]:
    if file is None or not file.exists():
        return frozenset()
    try:
        trusted = asyncssh.match_known_hosts(str(file), host, host, port)[0]
    except ValueError as error:
        raise NervError(f"{file} cannot be read: {error}", "`ssh-keygen -R` mends it, or remove the line") from None
    return frozenset(HostKey.of(key) for key in trusted)
