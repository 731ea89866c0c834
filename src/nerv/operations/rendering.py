"""Rendering a platform's folder: definition, keys, tree, encrypted files, in an order that leaves nothing half-done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nerv import checks, documents
from nerv.checks import nix_parser, repository
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.errors import NervError, Problem, ProblemsError
from nerv.operations import host_keys, keys, sops
from nerv.operations.folder import PlatformFolder
from nerv.operations.keys import Keys
from nerv.operations.secrets import contents, files, private_keys, replacing
from nerv.operations.secrets.files import File
from nerv.operations.secrets.private_keys import PrivateKeys
from nerv.rendering import manifest, secrets, writing
from nerv.rendering.changes import Changes
from nerv.rendering.manifest import Entry, Manifest
from nerv.rendering.public import PublicKeys
from nerv.rendering.secrets import Group
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


@dataclass(frozen=True)
class Change:
    """What is to change beside what the definition asks for."""

    contents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Encrypted files with new contents, in clear."""
    renew: bool = False
    """Every other file gets a new data key."""
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Files of any kind that are written as they are given here."""
    left: frozenset[str] = frozenset()
    """Encrypted files that stay as they are because no key opens them."""

    def leaves(self, path: str) -> bool:
        """Whether the encrypted file is none that is opened and written again."""
        return path in self.contents or path in self.texts or path in self.left


async def render(folder: PlatformFolder, *, force: bool = False) -> Rendered:
    """Make the repository what its definition says.

    Raises ProblemsError for a wrong definition and for files edited by hand (unless `force`), NervError otherwise.
    """
    platform = definition.load(folder.definition)
    own = _create_keys(folder, platform)
    check_keys(folder, platform)
    public = public_keys(folder, platform, create=True)
    change = Change(texts=await contents.unfinished(folder.root, platform, secrets.groups(platform, public), own))
    done = await write(folder, platform, public, own, change, force=force)
    replacing.settle(platform, folder.root)
    return done


async def redefine(folder: PlatformFolder, text: str) -> list[str]:
    """Write another definition and render; what was written. Raises NervError, ProblemsError; then nothing is."""
    before = folder.definition.read_bytes()
    definition.parse(text.encode(), folder.definition.name)
    folder.definition.write_text(text, encoding="utf-8")
    try:
        done = await render(folder)
    except NervError:
        folder.definition.write_bytes(before)
        raise
    return sorted({folder.definition.name, *done.written, *done.encrypted, *done.removed})


async def write(
    folder: PlatformFolder,
    platform: Platform,
    public: PublicKeys,
    own: PrivateKeys,
    change: Change | None = None,
    *,
    force: bool = False,
) -> Rendered:
    """Put tree and encrypted files in place for these public keys, all at once or not at all.

    Raises ProblemsError for files edited by hand (unless `force`), NervError where a file cannot be opened or written.
    """
    change = change or Change()
    planned = _plan(folder, platform, public, force=force)
    if planned.refused:
        raise ProblemsError(list(planned.refused))
    groups = secrets.groups(platform, public)
    present = [file for file in files.present(folder.root, platform, groups) if not change.leaves(file.path)]
    renewed = [file for file in present if change.renew]
    outdated = [file for file in present if not change.renew and file.outdated]
    files.check_openable([*renewed, *outdated], own)
    with sops.bench(groups) as bench:
        encrypted = await contents.missing(bench, folder.root, platform, own, change.contents)
        encrypted |= await files.for_readers(bench, outdated, own)
        encrypted |= await files.renewed(bench, renewed, own)
    # the definition comes first: what is rendered then is what the next run finds, whenever this one is killed
    writing.apply(folder.root, planned, {**change.texts, **encrypted})
    return Rendered(tuple(planned.write), planned.remove, (*encrypted, *change.texts))


def differences(folder: PlatformFolder) -> list[str]:
    """What `render` would change, one line a file; empty when the repository is what the definition says."""
    platform = definition.load(folder.definition)
    public = public_keys(folder, platform)
    planned = _plan(folder, platform, public)
    lines = [*planned.lines(), *(str(problem) for problem in planned.refused)]
    nodes = [node.name for node in platform.spec.nodes if node.name not in public.hosts]
    lines += [f"{secrets.key_file(node)}: would be written, with a new host key" for node in nodes]
    absent = (path for path in secrets.encrypted(platform) if not (folder.root / path).exists())
    lines += [f"{path}: would be encrypted" for path in absent]
    outdated = _outdated(folder, platform, secrets.groups(platform, public))
    lines += [f"{file.path}: would be encrypted for other recipients" for file in outdated]
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
    place = relative(folder.root, path)
    before = writing.read_manifest(folder.root)
    entry = before.files.get(place)
    platform = definition.load(folder.definition)
    generated = place in tree(platform, public_keys(folder, platform))
    if entry is None and not generated:
        raise NervError(f"{path} is not a file that NERV generates", f"`{manifest.FILE}` lists them")
    if entry is not None and (entry.owner == "user") == (owner == "user"):
        return False
    # given back, it counts as if NERV had written what stands there now, so the next run replaces it
    written = writing.digests(folder.root, (place,)).get(place, "")
    new = Entry("user") if owner == "user" else Entry("nerv", written)
    writing.replace(folder.root, {manifest.FILE: Manifest({**before.files, place: new}).text()})
    return True


def relative(root: Path, path: str) -> str:
    """The path inside the repository, given from there or from the working folder."""
    if (root / path).exists() and not Path(path).is_absolute():
        return Path(path).as_posix()
    resolved = Path(path).resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else path


def public_keys(folder: PlatformFolder, platform: Platform, *, create: bool = False) -> PublicKeys:
    """The public facts of rendering: of the keys here, else as the repository names them.

    `create`: host keys are made where there are none. Raises NervError where nothing names the recipients.
    """
    operator, flux = _recipients(folder, keys.load(platform.name))
    found = host_keys.create if create else host_keys.load
    return PublicKeys(operator, flux, found(platform, folder.root))


def check_keys(folder: PlatformFolder, platform: Platform) -> None:
    """Raises NervError where the operator's folder holds other keys than the repository is encrypted for: they were
    replaced elsewhere, and writing with these would bring the old ones back."""
    rules = writing.read_manifest(folder.root).files.get(secrets.RULES_FILE)
    if keys.load(platform.name) is None or rules is None or rules.owner == "user":
        return
    base = keys.folder_for(platform.name)
    # where the rules are no longer NERV's words, that is said before anything is written
    for name, recipient in zip((keys.OPERATOR, keys.FLUX), _named(folder), strict=False):
        # two keys are in a file while a rotation is under way
        if recipient not in private_keys.of_file(base / name).recipients:
            raise NervError(
                f"{base / name} is not the key that {secrets.RULES_FILE} names",
                "it was replaced elsewhere: take the folder from there, or see `nerv secrets recover --help`",
            )


def _plan(folder: PlatformFolder, platform: Platform, public: PublicKeys, *, force: bool = False) -> Changes:
    return writing.plan(folder.root, tree(platform, public), secrets.encrypted(platform), force=force)


def _create_keys(folder: PlatformFolder, platform: Platform) -> PrivateKeys:
    """The keys of this user; the operator's are made for a repository that was never encrypted."""
    if not (folder.root / secrets.RULES_FILE).exists():
        keys.create(platform.name)
    return private_keys.of_user(platform.name)


def _recipients(folder: PlatformFolder, known: Keys | None) -> tuple[str, str]:
    """Operator's and Flux's recipients: of the keys here, else as the repository names them."""
    return (known.operator, known.flux) if known else committed_recipients(folder)


def committed_recipients(folder: PlatformFolder) -> tuple[str, str]:
    """Operator's and Flux's recipients as the repository names them. Raises NervError where it does not."""
    found = _named(folder)
    if len(found) < 2:
        hint = "restore the operator's keys from your backup, or begin with `nerv init`"
        raise NervError(f"{folder.root / secrets.RULES_FILE} names no recipients, and there are no keys here", hint)
    return found[0], found[1]


def _named(folder: PlatformFolder) -> tuple[str, ...]:
    """Recipients of the first rule of .sops.yaml; none where there is no such rule."""
    try:
        return secrets.recipients_in((folder.root / secrets.RULES_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, documents.DocumentError):
        return ()


def _outdated(folder: PlatformFolder, platform: Platform, groups: tuple[Group, ...]) -> list[File]:
    return [file for file in files.present(folder.root, platform, groups) if file.outdated]


def check(folder: PlatformFolder) -> list[Problem]:
    """Everything wrong with the repository that can be known without a cluster.

    Raises ProblemsError where the definition itself is wrong: what follows from it cannot be judged then.
    """
    platform = definition.load(folder.definition)
    read = repository.read(folder.root)
    found = checks.run(platform, read)
    if not any(problem.file.endswith(".nix") for problem in found):
        found += nix_parser.parsed(folder.root, sorted(path for path in read.files if path.endswith(".nix")))
    if not (folder.root / manifest.FILE).exists():
        found.append(Problem(manifest.FILE, 0, 0, "nothing is rendered yet", "run `nerv render`"))
    else:
        planned = _plan(folder, platform, public_keys(folder, platform))
        found += planned.refused
    return sorted(set(found))


def require_deployable(folder: PlatformFolder) -> None:
    """Raises ProblemsError with all that must not go onto a machine: what is wrong, and what locks everybody out."""
    found = [problem for problem in check(folder) if problem.severity != "note"]
    if found:
        raise ProblemsError(found)
