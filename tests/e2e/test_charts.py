"""`nerv charts` as a user works with it: charts of one's own, before and while the platform runs."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually

pytestmark = [pytest.mark.timeout(300)]


def _rows(home: Home) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(home.nerv("charts", "list", "-o", "json").stdout)}


def _own_metallb(folder: Path) -> Path:
    """A chart folder that differs from NERV's stand-in: what it deploys is labelled."""
    with resources.as_file(resources.files("nerv.components") / "metallb" / "standin") as stand_in:
        shutil.copytree(stand_in, folder / "metallb")
    (folder / "metallb" / "templates" / "mine.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: {{ .Release.Namespace }}}\n"
    )
    return folder


def test_pull_offline_says_what_does_not_answer_and_changes_nothing(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.nerv("init", str(home.folder))
    unreachable = {**home.environment, "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = Home(home.folder, unreachable).nerv("charts", "pull", code=1)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 5
    assert all("nothing was changed" in line for line in lines[:-1])
    assert "Traceback" not in done.stderr
    assert {row["origin"] for row in _rows(home).values()} == {""}


def test_a_folder_without_a_chart_of_use_says_what_is_wanted(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.nerv("init", str(home.folder))
    own = _own_metallb(tmp_path / "own")
    chart = own / "metallb" / "Chart.yaml"
    chart.write_text(chart.read_text().replace("version: 0.15.2", "version: 0.14.0"))
    done = home.nerv("charts", "use", str(own), code=1)
    assert "metallb 0.14.0 is not used: the platform pins 0.15.2" in done.stderr


def test_a_running_platform_takes_up_other_charts_and_keeps_them_over_a_restart(tmp_path: Path) -> None:
    own = _own_metallb(tmp_path / "own")
    home = Home.at(tmp_path)
    with commands.up(home):
        assert _rows(home)["metallb"]["origin"] == "stand-in"
        said = home.nerv("charts", "use", str(own))
        assert "the running platform takes them up now" in said.stderr
        kept = _rows(home)["metallb"]
        assert kept["origin"] == "folder"
        eventually(
            lambda: home.kubectl("get", "cm", "-n", "metallb-system", "mine", code=None), "the new chart's object"
        )
        eventually(lambda: home.status()["healthy"], "health with the new chart")
        assert "metallb.v2" in home.kubectl("get", "hr", "-n", "metallb-system", "metallb")
        home.nerv("down")
    with commands.up(home):
        assert _rows(home)["metallb"] == kept
        assert "mine" in home.kubectl("get", "cm", "-n", "metallb-system")
