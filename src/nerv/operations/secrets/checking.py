"""What is wrong with a platform's secrets, and what will be: with the operator's keys at hand, without a cluster.

`nerv check` proves what can be seen without any key (nerv.checks.secrets); this opens the files.
"""

from __future__ import annotations

import datetime
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from nerv import documents
from nerv.checks import repository
from nerv.checks import secrets as offline
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.errors import NervError, Problem
from nerv.operations import host_keys, keys, rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import agreement, contents, files, private_keys
from nerv.operations.secrets.agreement import Clear
from nerv.operations.secrets.files import File
from nerv.operations.secrets.private_keys import PrivateKeys
from nerv.rendering import secrets
from nerv.rendering.secrets import SERVERS_FILE

MAX_AGE = 365
"""Days after which a secret is called old."""


@dataclass(frozen=True)
class Report:
    """What is wrong, and what should be thought of."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def check(folder: PlatformFolder, *, max_age: int = MAX_AGE) -> Report:
    """Everything there is to say about the secrets. Raises ProblemsError where the definition is wrong, NervError where
    nothing names who may read."""
    platform = definition.load(folder.definition)
    own = private_keys.of_user(platform.name)
    groups = secrets.groups(platform, rendering.public_keys(folder, platform))
    texts = repository.read(folder.root)
    problems = [*offline.plaintext(platform, texts), *offline.private_keys(platform, texts)]
    problems += [*offline.encrypted(platform, texts), *offline.recipients(platform, texts)]
    problems += [*_folder(folder, platform), *_hosts(platform, folder.root)]
    for path in secrets.encrypted(platform):
        if not (folder.root / path).exists():
            problems.append(Problem(path, 0, 0, "is missing", "`nerv secrets init` makes it"))
    clear: dict[str, Mapping[str, Any]] = {}
    present = files.present(folder.root, platform, groups)
    for file in present:
        try:
            clear[file.path] = own.decrypt(file.text, file.path)
        except NervError as error:
            problems.append(_closed(file, own, error))
    problems += [*agreement.check(platform, clear), *_certificates(folder, clear)]
    return Report(tuple(sorted(set(problems))), tuple(_notes(platform, present, clear, max_age)))


def _closed(file: File, own: PrivateKeys, error: NervError) -> Problem:
    said = error.message.removeprefix(f"{file.path} cannot be read: ")
    try:
        if not own.open_any(file.recipients):
            hint = "restore the operator's keys from your backup, or `nerv secrets recover`"
            return Problem(file.path, 0, 0, "no key here can read it", hint)
    except NervError as wrong:
        return Problem(file.path, 0, 0, wrong.message.removeprefix(f"{file.path} "), wrong.hint)
    hint = "take the file from Git: somebody changed it without sops, or two changes were merged"
    return Problem(file.path, 0, 0, said, hint)


def _folder(folder: PlatformFolder, platform: Platform) -> Iterator[Problem]:
    """The operator's folder: complete, private, the repository's, and no rotation half-way."""
    base = keys.folder_for(platform.name)
    try:
        rendering.check_keys(folder, platform)
    except NervError as error:
        yield Problem(secrets.RULES_FILE, 0, 0, error.message, error.hint)
    for name in (keys.OPERATOR, keys.FLUX):
        path = base / name
        if not path.exists():
            hint = "restore it from your backup, or `nerv secrets recover`"
            yield Problem(str(path), 0, 0, "is missing", hint)
        elif len(private_keys.of_file(path).secrets) > 1:
            yield Problem(str(path), 0, 0, "holds an old key too: a rotation was interrupted", "`nerv render` ends it")
    for path in sorted(base.rglob("*")) if base.exists() else ():
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Problem(str(path), 0, 0, "can be read by other users", f"chmod 600 {path}")


def _hosts(platform: Platform, root: Path) -> Iterator[Problem]:
    for node in platform.spec.nodes:
        if not (root / secrets.key_file(node.name)).exists():
            yield Problem(secrets.key_file(node.name), 0, 0, "is missing", "`nerv secrets init` makes the host key")


def _certificates(folder: PlatformFolder, clear: Clear) -> Iterator[Problem]:
    """Certificates that have ended: of the cluster on this machine, and in encrypted Secrets."""
    found = {str(path): path.read_text(encoding="utf-8") for path in sorted(folder.state.glob("pki/*.crt"))}
    if folder.ca_file.exists():
        found[str(folder.ca_file)] = folder.ca_file.read_text(encoding="utf-8")
    for place, contained in clear.items():
        for key, value in (contained.get("stringData") or {}).items():
            if "BEGIN CERTIFICATE" in str(value):
                found[f"{place}: {key}"] = str(value)
    now = datetime.datetime.now(datetime.UTC)
    for place, text in found.items():
        try:
            ends = x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc
        except ValueError:
            yield Problem(place, 0, 0, "is no certificate", "")
            continue
        if ends < now:
            yield Problem(place, 0, 0, f"ended on {ends.date()}", "`nerv secrets rotate certificates`, or renew it")


def _notes(platform: Platform, present: list[File], clear: Clear, max_age: int) -> Iterator[str]:
    for node in platform.spec.nodes:
        path = host_keys.file_of(platform.name, node.name)
        if not path.exists():
            yield f"{path} is not here: {node.name} cannot be installed from this machine"
    now = datetime.datetime.now(datetime.UTC)
    for file in present:
        days = (now - _changed(file)).days if file.path in clear else 0
        if days > max_age:
            yield f"{file.path} was last changed {days} days ago: `nerv secrets rotate --help` says what can be"
    for name in (keys.OPERATOR, keys.FLUX):
        created = _created(keys.folder_for(platform.name) / name)
        if created and (now - created).days > max_age:
            yield f"{name} is {(now - created).days} days old: `nerv secrets rotate {name.partition('.')[0]}`"
    login = agreement.manifest_data(clear.get(SERVERS_FILE, {}), contents.FLUX_LOGIN)
    empty = [key for key, value in login.items() if not value]
    if empty:
        yield f"{contents.FLUX_LOGIN} has no {', '.join(empty)} yet: `nerv bootstrap` brings it"


def _changed(file: File) -> datetime.datetime:
    return datetime.datetime.fromisoformat(str(documents.load(file.text)["sops"]["lastmodified"]))


def _created(path: Path) -> datetime.datetime | None:
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.startswith("# created: "):
            return datetime.datetime.fromisoformat(line.removeprefix("# created: "))
    return None
