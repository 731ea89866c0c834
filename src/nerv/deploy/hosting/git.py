"""A branch on a Git server: what it holds, cloning it, pushing to it. The git program does the work, never by force.

Belongs here: what every server has in common. Credentials reach git as builders/git.py gives them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from nerv import process
from nerv.builders import git, ssh
from nerv.builders.git import Access, GitError
from nerv.errors import NervError

_SECONDS = 120.0
_SCAN_SECONDS = 10.0
_BEHIND = re.compile(
    r"\[rejected\].*\((?:fetch first|non-fast-forward|stale info)\)"
    r"|\[remote rejected\].*(?:failed to update ref|cannot lock ref)"
)
_PROTECTED = re.compile(
    r"GH006|GH013|protected branch|rule violations|not allowed to push|pre-receive hook declined", re.IGNORECASE
)
_WORKFLOW = re.compile(r"refusing to allow .* workflow")
_MAY_NOT_WRITE = re.compile(
    r"returned error: 403|Permission to \S+ denied|marked as read only|write access .* not granted", re.IGNORECASE
)


class Behind(NervError):
    """The branch got commits that the pushed one does not have."""


@dataclass(frozen=True)
class Remote:
    """A branch of a repository on a server."""

    url: str
    branch: str
    access: Access

    @property
    def reference(self) -> str:
        return f"refs/heads/{self.branch}"

    async def head(self) -> str:
        """The branch's commit; empty where the branch is not there yet. Raises GitError."""
        found = await git.references(self.url, self.access, self.reference)
        return found.get(self.reference, "")

    async def fetch(self, folder: Path, into: str) -> None:
        """Bring the branch into a local repository, under the reference `into`. Raises GitError."""
        await self._checked(["fetch", "--quiet", "--no-tags", self.url, f"+{self.reference}:{into}"], folder)

    async def clone(self, folder: Path) -> None:
        """The branch's newest files in a new folder; an empty one where there is no branch yet. Raises GitError."""
        if await self.head():
            options = ["--quiet", "--depth=1", "--single-branch", f"--branch={self.branch}"]
            await self._checked(["clone", *options, self.url, str(folder)])
        else:
            await self._checked(["init", "--quiet", f"--initial-branch={self.branch}", str(folder)])

    async def push(self, folder: Path, commit: str = "HEAD") -> None:
        """Move the branch on to a commit of a local repository.

        Raises Behind when somebody was faster, NervError when the branch takes no pushes.
        """
        done = await self._run(["push", "--porcelain", self.url, f"{commit}:{self.reference}"], folder)
        if done.code:
            raise self._refusal(f"{done.stdout}\n{done.stderr}")

    def _refusal(self, output: str) -> NervError:
        if _BEHIND.search(output):
            return Behind(f"branch {self.branch} of {self.url} has commits that this folder lacks")
        if _WORKFLOW.search(output):
            hint = "give it the scope `workflow` (classic) or the permission `Workflows: write`"
            return NervError("the token may not push the files in .github/workflows", hint)
        if _PROTECTED.search(output):
            said = next((line for line in output.splitlines() if "remote:" in line and _PROTECTED.search(line)), "")
            why = said.partition("remote:")[2].strip(" .")
            where = f"branch {self.branch} of {self.url}"
            return NervError(
                f"{where} is protected and takes no direct pushes{f': {why}' if why else ''}",
                f"let this account bypass the protection, or bring the commits there by a pull request "
                f"(`git push {self.url} {self.branch}:nerv-bootstrap`), merge it and run the same command again",
            )
        if _MAY_NOT_WRITE.search(output):
            hint = "a token needs `Contents: write` (fine-grained) or `repo` (classic); a deploy key write access"
            return NervError(f"pushing to {self.url} is not allowed: {git.reason(output)}", hint)
        return GitError(f"pushing to {self.url} failed: {git.reason(output)}")

    async def _checked(self, arguments: Sequence[str], folder: Path | None = None) -> str:
        done = await self._run(arguments, folder)
        if done.code:
            raise GitError(f"{self.url}: {git.reason(done.stderr)}")
        return done.stdout

    async def _run(self, arguments: Sequence[str], folder: Path | None) -> process.Completed:
        with self.access.prepared(self.url) as environment:
            return await process.run(["git", *arguments], cwd=folder, env=environment, timeout=_SECONDS, check=False)


async def local(folder: Path, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """What git says of a repository on this machine, without the last line end. Raises ProcessError."""
    done = await process.run(["git", *arguments], cwd=folder, env={"LC_ALL": "C", **(env or {})}, check=check)
    return done.stdout.strip() if done.code == 0 else ""


async def is_ancestor(folder: Path, older: str, newer: str) -> bool:
    """Whether a commit is part of another's history."""
    command = ["git", "merge-base", "--is-ancestor", older, newer]
    return (await process.run(command, cwd=folder, check=False)).code == 0


async def scan_host_key(url: str) -> tuple[str, str]:
    """The line of known_hosts for the server of an ssh:// URL as it shows itself now, and the key's fingerprint.

    Raises NervError when it does not answer.
    """
    host, port = ssh.place(url)
    try:
        key = await asyncio.wait_for(asyncssh.get_server_host_key(host, port, config=None), _SCAN_SECONDS)
    except (OSError, asyncssh.Error, TimeoutError) as error:
        raise NervError(f"{host}:{port} does not answer by SSH: {error or 'no answer'}") from None
    if key is None:
        raise NervError(f"{host}:{port} shows no host key")
    return ssh.known_host(host, port, key.export_public_key().decode()), key.get_fingerprint()
