"""Host keys of nodes, made before their machines exist: where they are, and as files for the installation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nerv.components.catalog import Platform
from nerv.errors import NervError
from nerv.operations.folder import PlatformFolder
from nerv.operations.keys import folder_for

_FILE = "ssh_host_ed25519_key"


def private_key_file(platform: Platform, node: str) -> Path:
    """The private half, in the operator's folder."""
    return _private(platform.name, node)


def _private(platform: str, node: str) -> Path:
    return folder_for(platform) / "hosts" / node / _FILE


def public_key(folder: PlatformFolder, platform: Platform, node: str) -> str:
    """The public half. Raises NervError before `nerv render` has made it."""
    path = folder.root / "nixos" / "keys" / f"{node}.pub"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NervError(f"{path} is missing: {node} has no host key yet", "`nerv render` makes it") from None


@contextmanager
def extra_files(platform: str, node: str) -> Iterator[Path]:
    """A folder for --extra-files that holds the node's host key; gone at the end.

    Raises NervError where the private half is not here.
    """
    source = _private(platform, node)
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NervError(
            f"{source} is missing: only who made {node}'s host key can install it",
            "restore the operator's folder from your backup, or remove nixos/keys and render to make new ones",
        ) from None
    with tempfile.TemporaryDirectory(prefix="nerv-") as made:
        place = Path(made) / "etc" / "ssh"
        place.mkdir(parents=True)
        for folder in (place.parent, place):
            folder.chmod(0o755)
        key = place / _FILE
        key.touch(mode=0o600)
        key.write_text(text, encoding="utf-8")
        yield Path(made)
