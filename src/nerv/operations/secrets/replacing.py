"""Replacing private keys in the operator's folder around a change of the repository.

Both cannot change in one instant. While the repository changes, the old key and the new one are both there: a run that
is killed at any moment leaves every file readable, and the next `nerv render` finishes it. Afterwards the old key is
kept nowhere, unless that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nerv.components.catalog import Platform
from nerv.errors import NervError
from nerv.operations import host_keys, keys
from nerv.operations.folder import write_private
from nerv.operations.secrets import files, private_keys
from nerv.rendering import secrets


@dataclass(frozen=True)
class Replacement:
    """Private files by path; None removes one."""

    first: Mapping[Path, str | None] = field(default_factory=dict, repr=False)
    """Before the repository changes."""
    last: Mapping[Path, str | None] = field(default_factory=dict, repr=False)
    """When it has changed."""


def age_key(path: Path, new: str) -> Replacement:
    """A new key for an age key file: both while the repository changes, the new one first."""
    return Replacement({path: new + _text(path)}, {path: new})


def host_key(name: str, node: str, new: str) -> Replacement:
    """A new host key for a node: beside the old one while the repository changes."""
    current, following = host_keys.file_of(name, node), host_keys.next_of(name, node)
    return Replacement({following: new}, {current: new, following: None})


def retired(folder: Path, path: Path) -> Path:
    """Where an old private key is kept on demand: a file named after its public half. Raises NervError."""
    return folder / "retired" / f"{private_keys.of_file(path).recipients[0]}.{path.name}"


@contextmanager
def replacing(replacement: Replacement) -> Iterator[None]:
    """Private files change around the body; when it fails they are as they were. Raises NervError."""
    before = {path: _text(path) or None for path in replacement.first}
    try:
        _write(replacement.first)
        yield
    except BaseException:
        _write(before)
        raise
    _write(replacement.last)


def settle(platform: Platform, root: Path) -> None:
    """Finish what an interrupted run left in the operator's folder: old keys go when nothing is encrypted for them."""
    for path in (keys.folder_for(platform.name) / file for file in (keys.OPERATOR, keys.FLUX)):
        held = private_keys.of_file(path) if path.exists() else private_keys.none()
        if len(held.secrets) > 1 and not any(files.mentioning(root, recipient) for recipient in held.recipients[1:]):
            write_private(path, keys.first_key(_text(path)))
    for node in platform.spec.nodes:
        following = host_keys.next_of(platform.name, node.name)
        if following.exists():
            current = host_keys.file_of(platform.name, node.name)
            new = _text(following)
            committed = (root / secrets.key_file(node.name)).read_text(encoding="utf-8").split(" ")
            if host_keys.public_line(new, node.name).split(" ")[1] == committed[1]:
                _write({current: new, following: None})


def _write(texts: Mapping[Path, str | None]) -> None:
    for path, text in texts.items():
        try:
            if text is None:
                path.unlink(missing_ok=True)
            else:
                write_private(path, text)
        except OSError as error:
            raise NervError(f"{path} cannot be written: {error.strerror}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise NervError(f"{path} cannot be read", "restore it from your backup") from None
