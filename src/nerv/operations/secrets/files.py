"""The encrypted files of a repository: which there are, who can open them, and the same files for others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nerv.builders.sops import detect
from nerv.checks import repository
from nerv.components.catalog import Platform
from nerv.errors import NervError
from nerv.operations import sops
from nerv.operations.secrets.private_keys import PrivateKeys
from nerv.operations.sops import Bench
from nerv.rendering import secrets, writing
from nerv.rendering.secrets import Group


@dataclass(frozen=True)
class File:
    """An encrypted file as it stands in the repository."""

    path: str
    text: str
    group: Group

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who can open it. Raises NervError for a file that sops did not write."""
        return sops.recipients_in(self.text, self.path)

    @property
    def outdated(self) -> bool:
        """Whether it is encrypted for others than its group. Raises NervError."""
        return set(self.recipients) != set(self.group.recipients)


def present(root: Path, platform: Platform, groups: Sequence[Group]) -> list[File]:
    """Every encrypted file that its group's rule holds for, sorted. Raises NervError for unreadable ones.

    Where the rules are the user's own (ejected), only what NERV makes.
    """
    paths = set(secrets.encrypted(platform))
    rules = writing.read_manifest(root).files.get(secrets.RULES_FILE)
    if rules is None or rules.owner != "user":
        paths |= {path.relative_to(root).as_posix() for path in (root / secrets.FOLDER).rglob("*.sops.yaml")}
    found = []
    for path in sorted(paths):
        group = secrets.group_of(path, groups)
        if group is not None and (root / path).is_file():
            found.append(File(path, read(root, path), group))
    return found


def read(root: Path, path: str) -> str:
    """The text of a file. Raises NervError."""
    try:
        return (root / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NervError(f"{root / path} is missing", "`nerv secrets init` makes it") from None
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not text"
        raise NervError(f"{root / path} cannot be read: {said}") from None


def check_openable(files: Iterable[File], own: PrivateKeys) -> None:
    """Raises NervError where no key here opens a file that has to change."""
    for file in files:
        if not own.open_any(file.recipients):
            raise NervError(
                f"{file.path} must be encrypted for other recipients, and no key here can read it",
                "restore the operator's keys from your backup, or see `nerv secrets recover --help`",
            )


async def for_readers(bench: Bench, files: Iterable[File], own: PrivateKeys) -> dict[str, str]:
    """The files for the readers of their groups. Who was taken out cannot read later values either: the data key is
    another one then. Raises NervError."""
    return await _each(files, lambda file: _for_readers(bench, file, own.environment))


async def renewed(bench: Bench, files: Iterable[File], own: PrivateKeys) -> dict[str, str]:
    """The files under new data keys, for the readers of their groups. Raises NervError."""
    return await _each(files, lambda file: bench.renew(file.path, file.text, own.environment, file.group.recipients))


async def _for_readers(bench: Bench, file: File, keys: Mapping[str, str]) -> str:
    if set(file.recipients) - set(file.group.recipients):
        return await bench.renew(file.path, file.text, keys, file.group.recipients)
    return await bench.add_readers(file.path, file.text, keys)


async def _each(files: Iterable[File], change: Callable[[File], Awaitable[str]]) -> dict[str, str]:
    changing = list(files)
    texts = await asyncio.gather(*(change(file) for file in changing))
    return {file.path: text for file, text in zip(changing, texts, strict=True)}


def mentioning(root: Path, recipient: str) -> list[str]:
    """Encrypted files anywhere in the repository that name `recipient`, sorted. Raises NervError."""
    texts = repository.read(root).files
    return [path for path, text in sorted(texts.items()) if recipient in text and detect(text.encode()) is not None]
