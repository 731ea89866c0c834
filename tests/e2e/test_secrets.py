"""Flux's key and the dashboards' password are replaced under a running platform and under one that is down."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tests.support.commands import Home, eventually, up

pytestmark = pytest.mark.timeout(400)


def reconciled(home: Home) -> bool:
    """Whether Flux has applied the newest commit, secrets included."""
    status = home.get("kustomization", "-n", "flux-system", "apps-config").get("status", {})
    return bool(status.get("lastAppliedRevision", "").endswith(home.git("rev-parse", "HEAD").strip()))


def flux_key(home: Home) -> str:
    """The key that the cluster decrypts with."""
    data = home.get("secret", "-n", "flux-system", "sops-age")["data"]
    assert list(data) == ["age.agekey"]
    return base64.b64decode(data["age.agekey"]).decode()


def kept(home: Home) -> str:
    return Path(home.environment["XDG_CONFIG_HOME"], "nerv/home/flux.agekey").read_text()


def test_what_is_rotated_reaches_the_cluster(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    with up(home):
        before = flux_key(home)
        home.nerv("secrets", "rotate", "flux")
        home.nerv("secrets", "rotate", "dashboards")
        home.commit("rotate")
        assert flux_key(home) == kept(home) != before
        eventually(lambda: reconciled(home), "Flux to decrypt with the new key")
        served = home.get("secret", "-n", "traefik-system", "dashboard-login")["data"]["users"]
    home.nerv("secrets", "rotate", "flux")
    home.commit("rotate again")
    with up(home):
        assert flux_key(home) == kept(home)
        eventually(lambda: reconciled(home), "Flux to decrypt with the key that came while it was down")
        assert home.get("secret", "-n", "traefik-system", "dashboard-login")["data"]["users"] == served
    assert "nothing is wrong" in home.nerv("secrets", "check").stderr
