"""A commit asks the GitRepository objects of that repository, and no others, to reconcile."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from tests.support.definitions import flux_definitions

from nerv import process
from nerv.kube.client import Client
from nerv.mirror.commits import GIT_REPOSITORIES, REQUESTED_AT, CommitWatch

URL = "https://git.example.test/you/home.git"


async def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.test"]
    await process.run(["git", *identity, *arguments], cwd=folder)


async def test_a_commit_is_noticed(client: Client, tmp_path: Path) -> None:
    await flux_definitions(client)
    folder = tmp_path / "home"
    folder.mkdir()
    await _git(folder, "init", "-q", "-b", "main")
    await _git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    for name, url in (("ours", URL.removesuffix(".git")), ("other", "https://git.example.test/you/else.git")):
        body = {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"url": url, "interval": "1m"},
        }
        await client.create(GIT_REPOSITORIES, body)
    listed = await client.list(GIT_REPOSITORIES)
    watch = CommitWatch(client, folder, "main", URL)
    looking = asyncio.create_task(watch.run())
    try:
        async with aclosing(client.watch(GIT_REPOSITORIES, resource_version=listed.resource_version)) as events:
            await _git(folder, "commit", "-q", "--allow-empty", "-m", "two")
            event = await asyncio.wait_for(anext(events), 10)
        assert event.object["metadata"]["name"] == "ours"
        assert event.object["metadata"]["annotations"][REQUESTED_AT]
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    other = await client.get(GIT_REPOSITORIES, "other", "default")
    assert "annotations" not in other["metadata"]
