"""Noticing commits: when the branch's head changes, the GitRepository of that repository is asked to reconcile.

The question is asked the standard way (`reconcile.fluxcd.io/requestedAt`), so that it works on every engine. Looking is
a few `stat` calls: inotify would miss what other mounts and network file systems do.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import Resource

GIT_REPOSITORIES = Resource("source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository")
REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
LOOK_SECONDS = 0.05


class CommitWatch:
    """Follows `branch` of the repository in `folder`; `url` is how GitRepository objects name it."""

    def __init__(self, client: Client, folder: Path, branch: str, url: str) -> None:
        self._client = client
        self._git = folder / ".git" if (folder / ".git").is_dir() else folder
        self._branch = branch
        self._url = _normal(url)
        self._seen = self._state()

    def _state(self) -> tuple[object, ...]:
        """Changes whenever the branch's head may have changed."""
        places = (self._git / "refs" / "heads" / self._branch, self._git / "packed-refs", self._git / "reftable")
        return tuple(_stamp(path) for path in places)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            state = self._state()
            if state != self._seen:
                self._seen = state
                await self.request()

    async def request(self) -> None:
        """Ask every GitRepository of this repository to reconcile now."""
        try:
            listed = await self._client.list(GIT_REPOSITORIES)
        except errors.NotFound:
            return  # Flux is not installed yet; its first look will see the newest commit
        now = datetime.now(UTC).isoformat()
        for found in listed.items:
            if _normal(found["spec"].get("url", "")) == self._url:
                metadata = found["metadata"]
                patch = {"metadata": {"annotations": {REQUESTED_AT: now}}}
                with contextlib.suppress(errors.NotFound):
                    await self._client.patch(GIT_REPOSITORIES, metadata["name"], metadata["namespace"], patch)


def _normal(url: str) -> str:
    return url.rstrip("/").removesuffix(".git")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size, info.st_ino
