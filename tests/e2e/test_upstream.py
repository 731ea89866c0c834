"""What the real control plane must bear: kill -9, a machine that sleeps, the rights of a real cluster. In order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually

from nerv.engines.upstream import catalog

pytestmark = [pytest.mark.timeout(600), commands.NEEDS_UPSTREAM]
ASLEEP_SECONDS = 65
"""The node life-cycle controller gives up a node after 40 s."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    base = tmp_path_factory.mktemp("upstream")
    with commands.up(Home.at(base), "--engine", "upstream") as running:
        yield running
    assert commands.processes_of(base) == []


def _pods(home: Home) -> dict[str, str]:
    """Every pod's uid, by name."""
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in home.get("pods", "-A")["items"]}


def _node_ready(home: Home) -> str:
    (node,) = home.get("nodes")["items"]
    return next(each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready")


def test_flux_runs_in_its_pods_with_the_rights_of_a_real_cluster(home: Home) -> None:
    pods = home.get("pods", "-n", "flux-system")["items"]
    told = {pod["metadata"]["labels"]["app"]: pod["metadata"]["annotations"] for pod in pods}
    assert {each["nerv.dev/runtime"] for each in told.values()} == {"process"}
    assert told["source-controller"]["nerv.dev/program"] == "source-controller v1.7.0"
    assert told["helm-controller"]["nerv.dev/arguments"] == "without --enable-leader-election"

    def may(account: str, *what: str) -> str:
        user = f"system:serviceaccount:flux-system:{account}"
        return home.kubectl("auth", "can-i", *what, "--as", user, "-A", code=None).strip()

    assert may("source-controller", "list", "gitrepositories.source.toolkit.fluxcd.io") == "yes"
    assert may("source-controller", "delete", "nodes") == "no"
    assert may("notification-controller", "create", "deployments") == "no"
    assert may("kustomize-controller", "create", "deployments") == "yes"


def test_kubelet_calls_go_through_the_egress_selector(home: Home) -> None:
    assert "--providers" in home.kubectl(
        "exec", "-n", "traefik-system", "deploy/traefik", "--", "cat", "/proc/1/cmdline"
    )
    assert '"msg":"Starting workers"' in home.kubectl("logs", "-n", "flux-system", "deploy/source-controller")


def test_status_names_the_versions_that_differ(home: Home) -> None:
    status = home.status()
    assert status["engine"] == "upstream"
    assert "source-controller v1.7.0 for v1.6.0" in status["other_versions"]
    told = {each["name"]: (each["version"], each["differs"]) for each in status["programs"]}
    assert told.keys() == set(catalog.PROGRAMS)
    assert f"Server Version: {told['kube-apiserver'][0]}" in home.kubectl("version")
    assert told["kube-apiserver"] == (catalog.KUBERNETES, False)
    assert told["source-controller"] == ("v1.7.0", True)
    assert f"Programs        etcd {catalog.ETCD}, kube-apiserver {catalog.KUBERNETES}" in home.nerv("status").stdout
    assert "upstream" in home.nerv("list").stdout
    assert "source-controller" in home.nerv("engine", "versions").stdout


def test_kill_9_loses_nothing_and_the_next_start_goes_on(home: Home) -> None:
    home.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    uid = home.get("configmap", "kept")["metadata"]["uid"]
    before = _pods(home)
    os.kill(home.pid(), signal.SIGKILL)
    base = home.folder.parent
    eventually(lambda: commands.processes_of(base) == [], "all processes to be gone")

    home.nerv("up", str(home.folder), "--detach", "--offline", timeout=commands.START_PATIENCE)
    status = home.status()
    assert status["engine"] == "upstream"  # remembered
    assert status["healthy"], status["waiting"]
    assert home.get("configmap", "kept")["metadata"]["uid"] == uid
    assert _pods(home) == before


def test_a_part_of_the_control_plane_that_dies_comes_back(home: Home) -> None:
    (scheduler,) = [line for line in commands.processes_of(home.folder) if "/kube-scheduler " in line]
    (server,) = [line for line in commands.processes_of(home.folder) if "/kube-apiserver " in line]
    for line in (scheduler, server):
        os.kill(int(line.partition(":")[0]), signal.SIGKILL)
    eventually(lambda: "ok" in home.kubectl("get", "--raw", "/readyz", code=None), "the API server to be back")
    home.kubectl("create", "deployment", "after", "--image=after:1")
    eventually(
        lambda: home.get("deployment", "after").get("status", {}).get("readyReplicas") == 1, "a pod to be scheduled"
    )
    home.kubectl("delete", "deployment", "after", "--cascade=foreground")  # returns when its pod is gone, too


def test_a_machine_that_slept_takes_its_pods_up_again(home: Home) -> None:
    before = _pods(home)
    os.kill(home.pid(), signal.SIGSTOP)
    try:
        time.sleep(ASLEEP_SECONDS)  # the test is about time that passes
        eventually(lambda: _node_ready(home) != "True", "the node to be given up")
    finally:
        os.kill(home.pid(), signal.SIGCONT)
    eventually(lambda: _node_ready(home) == "True", "the node to be ready again")
    eventually(lambda: home.status()["healthy"], "every pod to be ready again")
    assert _pods(home) == before


def test_the_other_engine_has_a_state_of_its_own(home: Home) -> None:
    home.nerv("down")
    home.nerv("up", str(home.folder), "--detach", "--offline", "--engine", "embedded", timeout=commands.START_PATIENCE)
    assert home.status()["engine"] == "embedded"
    assert "kept" not in home.kubectl("get", "configmaps", "-o", "name")
