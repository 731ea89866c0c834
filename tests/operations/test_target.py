"""Which cluster is meant: options, the platform here, the platform as deployed, never an unasked environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.platforms import SMALL

from nerv import documents
from nerv.errors import NervError
from nerv.operations import folder as folders
from nerv.operations import keys
from nerv.operations import target as targets
from nerv.operations.folder import PlatformFolder


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No platform of this machine, no configuration of this user."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(folders, "run_base", lambda: tmp_path / "run")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def _kubeconfig(path: Path, *contexts: str, server: str = "https://192.168.1.10:6443") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "current-context": contexts[0],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in contexts],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(documents.dump(content))
    return path


def _platform(tmp_path: Path) -> PlatformFolder:
    folder = PlatformFolder(tmp_path / "home")
    folder.root.mkdir()
    folder.definition.write_text(SMALL)
    return folder


def test_a_named_kubeconfig_is_taken_as_it_is(tmp_path: Path) -> None:
    path = _kubeconfig(tmp_path / "k", "home")
    found = targets.choose(path, "home", None)
    assert (found.kubeconfig, found.context, found.engine, found.label) == (path, "home", "", "192.168.1.10-6443")


def test_a_context_alone_is_looked_for_in_the_environments_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _kubeconfig(tmp_path / "a", "one"), _kubeconfig(tmp_path / "b", "two", "three")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    assert targets.choose(None, "three", None).kubeconfig == second
    with pytest.raises(NervError, match="no context 'four'") as caught:
        targets.choose(None, "four", None)
    assert caught.value.hint == "there are one, two, three"


def test_a_context_alone_means_the_users_own_file(tmp_path: Path) -> None:
    path = _kubeconfig(tmp_path / ".kube" / "config", "mine")
    assert targets.choose(None, "mine", None).kubeconfig == path


def test_the_environment_is_never_used_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(_kubeconfig(tmp_path / "a", "production")))
    with pytest.raises(NervError, match="no platform runs") as caught:
        targets.choose(None, None, None)
    assert "--kubeconfig or --context" in caught.value.hint


def test_the_running_platform_comes_before_the_deployed_one(tmp_path: Path) -> None:
    folder = _platform(tmp_path)
    with pytest.raises(NervError, match="does not run here and was not deployed"):
        targets.choose(None, None, folder.root)
    deployed = _kubeconfig(keys.folder_for("home") / targets.KUBECONFIG, "home")
    found = targets.choose(None, None, folder.root)
    assert (found.kubeconfig, found.engine, found.label) == (deployed, "", "home")
    with folders.hold_lock(folder, "home", "embedded"):
        here = _kubeconfig(folder.kubeconfig, "home", server="https://127.0.0.1:1")
        found = targets.choose(None, None, folder.root)
        assert (found.kubeconfig, found.engine) == (here, "embedded")
        # reached by its file it stays a platform of this machine, whose addresses are not real
        assert targets.choose(here, None, None).engine == "embedded"


def test_what_the_client_does_not_speak_is_said(tmp_path: Path) -> None:
    path = _kubeconfig(tmp_path / "k", "home")
    path.write_text(path.read_text().replace("token: t", "exec: {command: aws}"))
    with pytest.raises(NervError, match=r"`exec` \(a login program\) is not supported"):
        _ = targets.choose(path, None, None).server


@pytest.mark.parametrize("text", ["[", "- a\n", "\x00"])
def test_an_unreadable_kubeconfig_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(NervError, match="no readable kubeconfig"):
        _ = targets.choose(path, None, None).server
