"""A platform with every kind of encrypted file, and the keys of this test alone."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.support import secrets

from nerv.operations.folder import PlatformFolder


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and Git settings of this test alone."""
    _own_home(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a platform (home) and the keys of its operator (config): made once, copied for every test."""
    base = tmp_path_factory.mktemp("platform")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _own_home(base, monkeypatch)
        asyncio.run(secrets.make(base / "home"))
    return base


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> PlatformFolder:
    """A platform with a server, an agent and a deploy key, committed."""
    for name in ("home", "config"):
        shutil.copytree(made / name, tmp_path / name)
    return PlatformFolder(tmp_path / "home")


def _own_home(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(base / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(base / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
