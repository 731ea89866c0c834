"""`nerv charts pull` as a user runs it, from repositories that a mirror of our own answers under their public names."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from nerv import certificates, process
from nerv.builders import ssh
from nerv.kube.client import Client
from nerv.mirror import Mirror, MirrorConfig, kept
from nerv.operations import plan


async def test_pull_keeps_what_the_repositories_give(tmp_path: Path, client: Client) -> None:
    config = MirrorConfig(
        repository=None,
        repository_url="https://git.example.test/you/home.git",
        branch="main",
        charts=plan.charts(),
        kept=tmp_path / "theirs",
        ca=certificates.create_ca("test"),
        unix=tmp_path / "m.sock",
        ssh=tmp_path / "s.sock",
        proxy=tmp_path / "p.sock",
        ssh_host_key=ssh.generate().private,
        ca_bundle=tmp_path / "bundle.pem",
        offline=True,
    )
    repositories = Mirror(config, client)
    await repositories.start()
    environment = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HTTPS_PROXY": repositories.proxy_url,
        "SSL_CERT_FILE": str(repositories.ca_file),
    }

    async def nerv(*arguments: str) -> str:
        return (await process.run([sys.executable, "-m", "nerv", *arguments], env=environment, timeout=60)).stdout

    try:
        await nerv("init", str(tmp_path / "home"))
        here = ("-C", str(tmp_path / "home"), "charts")
        await nerv(*here, "pull", "metallb")
        assert [row["origin"] for row in json.loads(await nerv(*here, "list", "-o", "json"))] == [
            "repository",
            "",
            "",
            "",
        ]
        await nerv(*here, "pull")
        rows = json.loads(await nerv(*here, "list", "-o", "json"))
    finally:
        await repositories.stop()
    assert {row["origin"] for row in rows} == {"repository"}
    theirs = {found.digest for found in kept.read(tmp_path / "theirs").values()}
    assert {row["digest"] for row in rows} == theirs
    assert len(theirs) == 4
