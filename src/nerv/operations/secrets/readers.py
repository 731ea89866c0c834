"""Who can read what: the readers that definition and keys ask for, held against what the files themselves say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nerv.components import definition
from nerv.operations import rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import files
from nerv.platform import editing, loading
from nerv.rendering import secrets
from nerv.rendering.secrets import Reader

Access = Literal["yes", "no", "missing", "unexpected"]
"""`missing`: should be able to and is not; `unexpected`: is able to and should not be."""


@dataclass(frozen=True)
class Matrix:
    """Readers and files."""

    readers: tuple[Reader, ...]
    files: Mapping[str, Mapping[str, Access]]
    """By path, then by recipient."""


def matrix(folder: PlatformFolder) -> Matrix:
    """Who can read what. Raises NervError, ProblemsError."""
    platform = definition.load(folder.definition)
    groups = secrets.groups(platform, rendering.public_keys(folder, platform))
    names = editing.recipient_comments(loading.read_file(folder.definition).decode())
    known = {reader.recipient: _named(reader, names) for group in groups for reader in group.readers}
    found: dict[str, dict[str, Access]] = {}
    for file in files.present(folder.root, platform, groups):
        able, wanted = set(file.recipients), set(file.group.recipients)
        for recipient in file.recipients:
            known.setdefault(recipient, Reader("unknown", "", recipient))
        found[file.path] = {recipient: _access(recipient in able, recipient in wanted) for recipient in known}
    every = {path: {recipient: row.get(recipient, "no") for recipient in known} for path, row in found.items()}
    return Matrix(tuple(known.values()), every)


def _named(reader: Reader, names: Mapping[str, str]) -> Reader:
    return dataclasses.replace(reader, name=reader.name or names.get(reader.recipient, ""))


def _access(able: bool, wanted: bool) -> Access:
    if able:
        return "yes" if wanted else "unexpected"
    return "missing" if wanted else "no"
