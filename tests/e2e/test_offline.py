"""`--offline` complete: sources that somebody commits say so in their conditions, and status has a line for each."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually

pytestmark = [pytest.mark.timeout(400)]
ENGINES = ("embedded", pytest.param("upstream", marks=commands.NEEDS_UPSTREAM))

_SOURCES = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: theirs, namespace: flux-system}
spec: {interval: 1h, url: https://git.elsewhere.test/them/theirs.git, ref: {branch: main}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: theirs, namespace: flux-system}
spec: {interval: 1h, url: https://charts.elsewhere.test/stable}
"""
SOURCES = {
    "charts.elsewhere.test": "HelmRepository flux-system/theirs",
    "git.elsewhere.test": "GitRepository flux-system/theirs",
}
"""By the host that each names."""


@pytest.mark.parametrize("engine", ENGINES)
def test_committed_sources_that_are_not_mirrored_are_reported(tmp_path: Path, engine: str) -> None:
    home = Home.at(tmp_path)
    with commands.up(home, "--engine", engine):
        assert home.status()["offline"] == []
        (home.folder / "apps" / "theirs.yaml").write_text(_SOURCES)
        kustomization = home.folder / "apps" / "kustomization.yaml"
        kustomization.write_text(kustomization.read_text().replace("resources:\n", "resources:\n- theirs.yaml\n"))
        home.commit("A repository of somebody else's")
        eventually(lambda: len(home.status()["offline"]) == 2, "both hosts in the status")
        said = home.nerv("status", code=1).stdout
        for host, source in SOURCES.items():
            expected = f"{host} is not mirrored and was refused ({source}): start without --offline\n"
            assert expected in said

        for host, source in SOURCES.items():
            eventually(partial(_says, home, source.partition(" ")[0], host), f"{source} to say so")
        home.git("revert", "--no-edit", "HEAD")
        if engine == "upstream":
            # it waits for the source's health, and looks at no new revision before (docs/explanation/engines.md)
            home.kubectl("delete", "pod", "-n", "flux-system", "-l", "app=kustomize-controller")
        eventually(lambda: home.status()["healthy"], "health after the revert")
        assert home.status()["offline"] == []


def _says(home: Home, kind: str, host: str) -> bool:
    """Whether the source's condition says that its host is not mirrored."""
    conditions = home.get(kind, "-n", "flux-system", "theirs").get("status", {}).get("conditions", [])
    said = next((each["message"] for each in conditions if each["type"] == "Ready"), "")
    return f"offline: {host} is not mirrored here" in said
