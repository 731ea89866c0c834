"""What the real control plane must bear: kill -9, a machine that sleeps, the rights of a real cluster. In order."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import queue
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

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


def _kill(home: Home, program: str) -> None:
    (line,) = [line for line in commands.processes_of(home.folder) if f"/{program} " in line]
    os.kill(int(line.partition(":")[0]), signal.SIGKILL)


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


TRANSPORTS = pytest.mark.parametrize("websockets", ["true", "false"], ids=["websocket", "spdy"])
"""What kubectl speaks with the API server, which speaks SPDY with the kubelet either way."""


@contextmanager
def _kubectl(
    home: Home, *arguments: str, websockets: str, terminal: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A kubectl that goes on until it is left, on pipes (all that it prints on one) or on a terminal."""
    kubeconfig = home.folder / ".nerv" / "kubeconfig"
    switches = dict.fromkeys(("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS"), websockets)
    place = subprocess.PIPE if terminal is None else terminal
    with subprocess.Popen(
        [str(commands.BIN / "kubectl"), f"--kubeconfig={kubeconfig}", *arguments],
        env={**home.environment, **switches},
        stdin=place,
        stdout=place,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@TRANSPORTS
def test_port_forward_leads_into_a_pod(home: Home, websockets: str) -> None:
    where = ("port-forward", "-n", "traefik-system", "deploy/traefik", ":traefik")
    with _kubectl(home, *where, websockets=websockets) as running:
        assert running.stdout
        told = running.stdout.readline()
        port = told.removeprefix("Forwarding from 127.0.0.1:").partition(" ")[0]
        assert port.isdecimal(), told
        assert home.run("curl", "-sS", f"http://127.0.0.1:{port}/ping").stdout == "OK"


@TRANSPORTS
def test_attach_shows_what_a_pod_prints_from_now_on(home: Home, websockets: str) -> None:
    where = ("attach", "-n", "flux-system", "deploy/source-controller")
    with _kubectl(home, *where, websockets=websockets) as running:
        lines: queue.Queue[str] = queue.Queue()
        assert running.stdout
        threading.Thread(target=lambda: [lines.put(line) for line in running.stdout or ()], daemon=True).start()

        def seen() -> bool:
            home.kubectl(
                "annotate", "--overwrite", "-n", "flux-system", "gitrepository/flux-system",
                f"reconcile.fluxcd.io/requestedAt={time.time()}",
            )  # fmt: skip
            try:
                return '"controllerKind":"GitRepository"' in lines.get(timeout=5)
            except queue.Empty:
                return False

        eventually(seen, "a line of the source-controller")
    (pod,) = home.get("pods", "-n", "flux-system", "-l", "app=source-controller")["items"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


@TRANSPORTS
def test_exec_has_a_terminal_of_the_users_size_and_ends_with_the_programs_code(home: Home, websockets: str) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 123, 0, 0))
    where = ("exec", "-it", "-n", "traefik-system", "deploy/traefik", "--", "sh")
    with _kubectl(home, *where, websockets=websockets, terminal=slave) as running:
        os.close(slave)
        os.write(master, b"stty size; exit 7\n")
        shown = b""
        with contextlib.suppress(OSError):  # the last program has closed the terminal
            while data := os.read(master, 1 << 16):
                shown += data
        assert running.wait(commands.PATIENCE) == 7
    os.close(master)
    assert b"45 123" in shown


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
    assert home.status()["failing"] == []
    _kill(home, "kube-scheduler")
    told = eventually(lambda: (found := home.status()).get("failing") and found, "status to say so")
    (line,) = told["failing"]
    assert line.startswith(f"kube-scheduler ({home.folder}/.nerv/logs/kube-scheduler.log) was ended by SIGKILL: ")
    assert told["waiting"][0] == line
    assert not told["healthy"]
    eventually(lambda: home.status()["healthy"], "the scheduler to run steadily")

    _kill(home, "kube-scheduler")
    _kill(home, "kube-apiserver")
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
