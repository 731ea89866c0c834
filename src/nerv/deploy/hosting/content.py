"""What the hosted branch holds: the platform's commits, and Flux's two files where they are missing or say otherwise.

The platform's own commits are pushed as they are. What `flux bootstrap` writes is committed as Flux does it (author,
messages, order), in a fresh clone, which is made anew when somebody else pushes meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nerv import documents
from nerv.deploy.hosting import git
from nerv.deploy.hosting.git import Behind, Remote
from nerv.deploy.hosting.journal import Journal
from nerv.errors import NervError

_TRIES = 3
_SEEN = "refs/nerv/hosted"
_FLUX = {
    "GIT_AUTHOR_NAME": "Flux",
    "GIT_AUTHOR_EMAIL": "",
    "GIT_COMMITTER_NAME": "Flux",
    "GIT_COMMITTER_EMAIL": "",
}


@dataclass(frozen=True)
class FluxFile:
    """A file of the cluster's folder. `keep` says which present texts are as good."""

    path: str
    text: str
    keep: Callable[[str], bool]


@dataclass(frozen=True)
class FluxCommit:
    """Files that Flux brings in one commit."""

    message: str
    files: tuple[FluxFile, ...]


def same_objects(wanted: str) -> Callable[[str], bool]:
    """Whether a text holds the same objects, whatever its comments and its order of keys."""

    def holds(text: str) -> bool:
        try:
            return documents.load_all(text) == documents.load_all(wanted)
        except documents.DocumentError:
            return False

    return holds


def anything(_: str) -> bool:
    """Whatever is there is kept."""
    return True


async def push_platform(folder: Path, remote: Remote, journal: Journal) -> None:
    """Bring the commits of the folder's branch to the server. Raises NervError where the two have parted."""
    branch = remote.branch
    ours = await git.local(folder, "rev-parse", "--verify", "--quiet", remote.reference, check=False)
    if not ours:
        raise NervError(f"{folder} has no branch {branch}", f"commit what is to be pushed: `git switch -c {branch}`")
    if await git.local(folder, "status", "--porcelain"):
        journal.say(f"{folder} has changes that are not committed; only commits are pushed")
    for _ in range(_TRIES):
        theirs = await remote.head()
        if theirs == ours:
            journal.say(f"branch {branch} is up to date ({ours[:8]})")
            return
        if theirs and not await _goes_on(folder, remote, ours, journal):
            return
        if not journal.change(f"push branch {branch} ({ours[:8]}) to {remote.url}"):
            return
        try:
            await remote.push(folder, ours)
        except Behind:
            continue  # somebody was faster: look again
        return
    raise NervError(f"branch {branch} of {remote.url} got commits at each of {_TRIES} tries", "try again")


async def _goes_on(folder: Path, remote: Remote, ours: str, journal: Journal) -> bool:
    """Whether our branch only adds to the server's. False when there is nothing to push. Raises NervError."""
    await remote.fetch(folder, _SEEN)
    try:
        if await git.is_ancestor(folder, _SEEN, ours):
            return True
        ahead = await git.local(folder, "rev-list", "--count", f"{ours}..{_SEEN}")
        if await git.is_ancestor(folder, ours, _SEEN):
            journal.say(f"branch {remote.branch} there is {ahead} commits ahead of {folder}: `git pull` brings them")
            return False
        related = await git.local(folder, "merge-base", ours, _SEEN, check=False)
    finally:
        await git.local(folder, "update-ref", "-d", _SEEN)
    how = "git pull --rebase" if related else "git pull --rebase --allow-unrelated-histories"
    raise NervError(
        f"branch {remote.branch} of {remote.url} has {ahead} commits that {folder} lacks, and lacks some of its own",
        f"nothing is overwritten: bring them together (`{how} {remote.url} {remote.branch}`), or choose another "
        "repository or branch",
    )


async def add_remote(folder: Path, remote: Remote, journal: Journal) -> None:
    """Let `git push` and `git pull` in the folder find the server, where the user has not said otherwise."""
    if await git.local(folder, "remote") or not journal.change(f"call {remote.url} origin in {folder}"):
        return
    await git.local(folder, "remote", "add", "origin", remote.url)
    await git.local(folder, "config", f"branch.{remote.branch}.remote", "origin")
    await git.local(folder, "config", f"branch.{remote.branch}.merge", remote.reference)


@asynccontextmanager
async def checkout(remote: Remote) -> AsyncIterator[Path]:
    """A fresh clone of the branch, gone at the end. Raises GitError."""
    with tempfile.TemporaryDirectory(prefix="nerv-bootstrap-") as name:
        folder = Path(name) / "clone"
        await remote.clone(folder)
        yield folder


async def commit_as_flux(remote: Remote, wanted: FluxCommit, journal: Journal, *, appendix: str = "") -> None:
    """Commit and push what is missing of the files, as Flux does it. Raises NervError."""
    for _ in range(_TRIES):
        async with checkout(remote) as folder:
            missing = [file for file in wanted.files if not _is_there(folder / file.path, file)]
            names = ", ".join(file.path for file in missing or wanted.files)
            if not missing:
                journal.say(f"up to date: {names}")
                return
            if not journal.change(f"commit `{wanted.message}`: {names}"):
                return
            await _commit(folder, wanted.message, missing, appendix)
            try:
                await remote.push(folder)
            except Behind:
                continue
            return
    raise NervError(f"branch {remote.branch} of {remote.url} got commits at each of {_TRIES} tries", "try again")


def _is_there(path: Path, file: FluxFile) -> bool:
    return path.exists() and file.keep(path.read_text(encoding="utf-8", errors="replace"))


async def _commit(folder: Path, message: str, files: list[FluxFile], appendix: str) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
        await git.local(folder, "add", "--", file.path)
    text = f"{message}\n\n{appendix}" if appendix else message
    await git.local(folder, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", text, env=_FLUX)
