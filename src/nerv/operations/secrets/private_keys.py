"""Private age keys as values: where this user's come from, and what they open."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyrage import IdentityError, x25519

from nerv import documents
from nerv.builders import sops
from nerv.errors import NervError
from nerv.operations import keys

_PREFIX = "AGE-SECRET-KEY-1"


@dataclass(frozen=True)
class PrivateKeys:
    """Keys that open files. Never shown: not by repr, not in an error."""

    secrets: tuple[str, ...] = field(repr=False)
    """`AGE-SECRET-KEY-1...`"""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Their public halves."""
        return tuple(str(x25519.Identity.from_str(secret).to_public()) for secret in self.secrets)

    @property
    def environment(self) -> Mapping[str, str]:
        """How sops is given them."""
        return {"SOPS_AGE_KEY": "\n".join(self.secrets)} if self.secrets else {}

    def open_any(self, recipients: Iterable[str]) -> bool:
        """Whether a file for `recipients` can be opened."""
        return not set(self.recipients).isdisjoint(recipients)

    def decrypt(self, text: str | bytes, path: str) -> Mapping[str, Any]:
        """The encrypted YAML file in clear, its MAC checked. Raises NervError."""
        identities = [x25519.Identity.from_str(secret) for secret in self.secrets]
        try:
            opened = documents.load(sops.decrypt(_bytes(text), identities, sops.Format.YAML))
        except (sops.SopsError, documents.DocumentError) as error:
            raise NervError(f"{path} cannot be read: {error.message.splitlines()[0]}") from None
        return opened if isinstance(opened, dict) else {}

    def __add__(self, other: PrivateKeys) -> PrivateKeys:
        return PrivateKeys(tuple(dict.fromkeys((*self.secrets, *other.secrets))))


def none() -> PrivateKeys:
    """No key at all."""
    return PrivateKeys(())


def of_user(name: str) -> PrivateKeys:
    """The operator's keys of platform `name`, and those that sops would find for this user. Raises NervError."""
    operator = keys.folder_for(name) / keys.OPERATOR
    found = of_file(operator) if operator.is_file() else none()
    configured = os.environ.get("SOPS_AGE_KEY_FILE")
    for path in (Path(configured) if configured else None, _sops_file()):
        if path is not None and os.access(path, os.R_OK) and path.is_file():
            # keys of other kinds (a plugin's, a card's) may stand there: they are sops's alone
            found += _of_lines(path.read_text(encoding="utf-8", errors="replace"))
    return found + _of_lines(os.environ.get("SOPS_AGE_KEY", ""))


def of_file(path: Path) -> PrivateKeys:
    """Keys of an age key file, or of an SSH host key. Raises NervError for other files."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not text"
        raise NervError(f"{path} cannot be read: {said}") from None
    try:
        return of_text(text)
    except NervError as error:
        raise NervError(f"{path}: {error.message}") from None


def of_text(text: str) -> PrivateKeys:
    """Keys in the text of an age key file or an SSH private key. Raises NervError where there is none."""
    found = _of_lines(text)
    if "PRIVATE KEY" in text:
        found = PrivateKeys((sops.ssh.secret(text),))
    if not found.secrets:
        raise NervError("no private key in it: an age key file or an ed25519 key of SSH is needed")
    return found


def _of_lines(text: str) -> PrivateKeys:
    found = [line.strip() for line in text.splitlines() if line.strip().startswith(_PREFIX)]
    for secret in found:
        try:
            x25519.Identity.from_str(secret)
        except IdentityError:
            raise NervError("a line that begins like an age key is none") from None
    return PrivateKeys(tuple(found))


def _sops_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "sops" / "age" / "keys.txt"


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
