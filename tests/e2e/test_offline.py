"""`--offline` complete: a source that somebody commits says so in its condition, and status has a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually

pytestmark = [pytest.mark.timeout(300)]

_SOURCE = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: theirs, namespace: flux-system}
spec: {interval: 1h, url: https://charts.elsewhere.test/stable}
"""


def test_a_committed_source_that_is_not_mirrored_is_reported(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    with commands.up(home):
        assert home.status()["offline"] == []
        (home.folder / "apps" / "theirs.yaml").write_text(_SOURCE)
        kustomization = home.folder / "apps" / "kustomization.yaml"
        kustomization.write_text(kustomization.read_text().replace("resources:\n", "resources:\n- theirs.yaml\n"))
        home.commit("A repository of somebody else's")
        eventually(lambda: home.status()["offline"], "the host in the status")
        said = home.nerv("status", code=1).stdout
        expected = "charts.elsewhere.test is not mirrored and was refused (HelmRepository flux-system/theirs)"
        assert f"Offline         {expected}: start without --offline" in said

        def message() -> str:
            found = home.get("helmrepository", "-n", "flux-system", "theirs").get("status", {}).get("conditions", [])
            return next((each["message"] for each in found if each["type"] == "Ready"), "")

        eventually(
            lambda: "offline: charts.elsewhere.test is not mirrored here" in message(), "the condition to say so"
        )
        home.git("revert", "--no-edit", "HEAD")
        eventually(lambda: home.status()["healthy"], "health after the revert")
        assert home.status()["offline"] == []
