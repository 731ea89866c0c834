"""Rendering a platform's folder: definition, keys, tree, encrypted files, in an order that leaves nothing half-done."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from nerv import checks, documents
from nerv.checks import repository
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.errors import NervError, Problem, ProblemsError
from nerv.operations import keys, sops
from nerv.operations.folder import PlatformFolder
from nerv.operations.keys import Keys
from nerv.rendering import manifest, secrets, writing
from nerv.rendering.changes import Changes
from nerv.rendering.manifest import Entry, Manifest
from nerv.rendering.secrets import SecretFile
from nerv.rendering.tree import tree


@dataclass(frozen=True)
class Rendered:
    """What a run of `nerv render` did."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    encrypted: tuple[str, ...]
    """Encrypted files that were made or got new recipients."""

    @property
    def unchanged(self) -> bool:
        """Whether everything was as the definition says already."""
        return not (self.written or self.removed or self.encrypted)


async def render(folder: PlatformFolder, *, force: bool = False) -> Rendered:
    """Make the repository what its definition says.

    Raises ProblemsError for a wrong definition and for files edited by hand (unless `force`), NervError otherwise.
    """
    platform = definition.load(folder.definition)
    known = _keys(folder, platform)
    public = _recipients(folder, known)
    everyone = _everyone(platform, public)
    planned = _plan(folder, platform, public, force=force)
    if planned.refused:
        raise ProblemsError(list(planned.refused))
    made = await _missing_secrets(folder, platform, everyone)
    outdated = _outdated(folder, platform, everyone)
    _check_readable(folder, outdated, known)
    writing.apply(folder.root, planned)
    if made:
        writing.replace(folder.root, made)
    for path in outdated:
        await sops.update_recipients(folder.root, path, known or keys.require(platform.name))
    return Rendered(tuple(planned.write), planned.remove, (*made, *outdated))


def differences(folder: PlatformFolder) -> list[str]:
    """What `render` would change, one line a file; empty when the repository is what the definition says."""
    platform = definition.load(folder.definition)
    public = _recipients(folder, keys.load(platform.name))
    planned = _plan(folder, platform, public)
    lines = [*planned.lines(), *(str(problem) for problem in planned.refused)]
    lines += [f"{file.path}: would be encrypted" for file in _absent(folder, platform)]
    outdated = _outdated(folder, platform, _everyone(platform, public))
    lines += [f"{path}: would be encrypted for other recipients" for path in outdated]
    return sorted(lines)


def eject(folder: PlatformFolder, path: str) -> bool:
    """Hand a generated file over to the user: it is never written again. False when it was his already.

    Raises NervError for a file that NERV does not generate.
    """
    return _set_owner(folder, path, "user")


def adopt(folder: PlatformFolder, path: str) -> bool:
    """Take an ejected file back: the next run writes over it. False when it was NERV's already."""
    return _set_owner(folder, path, "nerv")


def _set_owner(folder: PlatformFolder, path: str, owner: manifest.Owner) -> bool:
    relative = _relative(folder.root, path)
    before = writing.read_manifest(folder.root)
    entry = before.files.get(relative)
    platform = definition.load(folder.definition)
    generated = relative in tree(platform, ())
    if entry is None and not generated:
        raise NervError(f"{path} is not a file that NERV generates", f"`{manifest.FILE}` lists them")
    if entry is not None and (entry.owner == "user") == (owner == "user"):
        return False
    if owner == "user":
        new = Entry("user")
    else:
        # as if NERV had written what stands there now, so the next run replaces it
        new = Entry("nerv", writing.digests(folder.root, (relative,)).get(relative, ""))
    writing.replace(folder.root, {manifest.FILE: Manifest({**before.files, relative: new}).text()})
    return True


def _relative(root: Path, path: str) -> str:
    """The path inside the repository, given from there or from the working folder."""
    if (root / path).exists() and not Path(path).is_absolute():
        return Path(path).as_posix()
    resolved = Path(path).resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else path


def _plan(folder: PlatformFolder, platform: Platform, public: tuple[str, ...], *, force: bool = False) -> Changes:
    encrypted = tuple(file.path for file in secrets.logins(platform))
    return writing.plan(folder.root, tree(platform, public), encrypted, force=force)


def _keys(folder: PlatformFolder, platform: Platform) -> Keys | None:
    """The operator's keys; made for a repository that was never encrypted, None where only others have them."""
    if (folder.root / secrets.RULES_FILE).exists():
        return keys.load(platform.name)
    return keys.create(platform.name)


def _recipients(folder: PlatformFolder, known: Keys | None) -> tuple[str, ...]:
    """Operator's and Flux's recipients: of the keys here, else as the repository names them."""
    if known is not None:
        return known.recipients
    try:
        text = (folder.root / secrets.RULES_FILE).read_text(encoding="utf-8")
        found = secrets.recipients_in(text)
    except (OSError, UnicodeDecodeError, documents.DocumentError):
        found = ()
    if not found:
        hint = "restore the operator's keys from your backup, or begin with `nerv init`"
        raise NervError(f"{folder.root / secrets.RULES_FILE} names no recipients, and there are no keys here", hint)
    return found


def _everyone(platform: Platform, public: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*public, *platform.spec.secrets.recipients)))


def _absent(folder: PlatformFolder, platform: Platform) -> list[SecretFile]:
    return [file for file in secrets.logins(platform) if not (folder.root / file.path).exists()]


async def _missing_secrets(
    folder: PlatformFolder, platform: Platform, everyone: tuple[str, ...]
) -> dict[str, str | None]:
    absent = _absent(folder, platform)
    if not absent:
        return {}
    login = keys.credentials(platform.name)
    texts = await asyncio.gather(
        *(sops.encrypt(file.secret({secrets.USERS_KEY: login.htpasswd()}), everyone) for file in absent)
    )
    return dict(zip((file.path for file in absent), texts, strict=True))


def _outdated(folder: PlatformFolder, platform: Platform, everyone: tuple[str, ...]) -> list[str]:
    return [
        file.path
        for file in secrets.logins(platform)
        if (folder.root / file.path).exists() and set(sops.recipients(folder.root / file.path)) != set(everyone)
    ]


def _check_readable(folder: PlatformFolder, paths: list[str], known: Keys | None) -> None:
    """Raises NervError where the operator's key cannot read a file that needs new recipients."""
    for path in paths:
        if known is None or known.operator not in sops.recipients(folder.root / path):
            raise NervError(
                f"{path} must be encrypted for other recipients, and no key here can read it",
                "restore the operator's keys from your backup, or remove the file to have a new one made",
            )


def check(folder: PlatformFolder) -> list[Problem]:
    """Everything wrong with the repository that can be known without a cluster.

    Raises ProblemsError where the definition itself is wrong: what follows from it cannot be judged then.
    """
    platform = definition.load(folder.definition)
    found = checks.run(platform, repository.read(folder.root))
    if not (folder.root / manifest.FILE).exists():
        found.append(Problem(manifest.FILE, 0, 0, "nothing is rendered yet", "run `nerv render`"))
    else:
        planned = _plan(folder, platform, _recipients(folder, keys.load(platform.name)))
        found += planned.refused
    return sorted(set(found))
