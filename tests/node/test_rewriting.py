"""Arguments and environment of programs whose pods share this machine's network, and those that cannot be told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.nodes import cluster, eventually, is_ready, listening_server, pod, proxy_network, web_server

from nerv.kube.resources import PODS
from nerv.network.driver import Isolation, Local
from nerv.node import rewriting
from nerv.node.programs import Rewrites
from nerv.operations.rewrites import REWRITES


def _local(isolation: Isolation = "user") -> Local:
    return Local(
        "127.42.0.9", lambda port: port + 1, ("127.0.0.1", 6000), "socks5://nerv:secret@127.0.0.1:1080", isolation
    )


@pytest.mark.parametrize(
    ("image", "given", "expected"),
    [
        (
            "traefik",
            ["--entryPoints.web.address=:8000/tcp", "--entrypoints.dns.address=:53/udp", "--api.dashboard=true"],
            ["--entryPoints.web.address=127.42.0.9:8001/tcp", "--entrypoints.dns.address=127.42.0.9:54/udp",
             "--api.dashboard=true"],
        ),
        (
            "nerv-platform/nerv",
            ["console", "--listen", "0.0.0.0:8000", "--credentials", "/etc/x/users"],
            ["console", "--listen", "127.42.0.9:8001", "--credentials", "/etc/x/users", "--kubeconfig=/k"],
        ),
        (
            "fluxcd/source-controller",
            ["--events-addr=http://notification-controller.flux-system.svc.cluster.local./", "--storage-addr=:9090",
             "--enable-leader-election"],
            ["--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
             "--storage-addr=127.42.0.9:9091", "--metrics-addr=127.42.0.9:8081", "--health-addr=127.42.0.9:9441"],
        ),
        (
            "fluxcd/notification-controller",
            ["--events-addr=:9090"],
            ["--events-addr=127.42.0.9:9091", "--metrics-addr=127.42.0.9:8081", "--health-addr=127.42.0.9:9441",
             "--receiverAddr=127.42.0.9:9293"],
        ),
    ],
)  # fmt: skip
def test_known_programs_listen_on_loopback(image: str, given: list[str], expected: list[str]) -> None:
    found = rewriting.arguments(given, REWRITES[image], _local(), "/k")
    assert list(found.words) == expected
    rebuilt = [change for change in found.changes if not change.startswith("left out ")]
    assert all(change.rpartition(" ")[2] in expected for change in rebuilt)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (":80", "127.42.0.9:81"),
        ("10.42.0.9:80", "127.42.0.9:81"),
        ("[::]:80", "127.42.0.9:81"),
        ("localhost:80/tcp", "127.42.0.9:81/tcp"),
        (":0", ":0"),
        ("0", "0"),
        ("http://host:80", "http://host:80"),
        ("backend.example:80", "backend.example:80"),
    ],
)
def test_only_addresses_to_listen_at_are_replaced(value: str, expected: str) -> None:
    assert rewriting.listen(value, _local()) == expected


@given(st.lists(st.text("abc-=./: ", max_size=12)))
def test_what_is_not_known_stays_as_it_is(words: list[str]) -> None:
    found = rewriting.arguments(words, Rewrites((("--listen", ""),)), _local(), "")
    assert list(found.words) == words
    assert not found.changes


def test_the_environment_leads_to_the_cluster() -> None:
    given = {"KUBERNETES_SERVICE_HOST": "10.43.0.1", "KUBERNETES_SERVICE_PORT": "443", "MINE": "x"}
    found = rewriting.variables(given, _local(), "/k")
    assert (found["KUBERNETES_SERVICE_HOST"], found["KUBERNETES_SERVICE_PORT"]) == ("127.0.0.1", "6000")
    assert found["HTTPS_PROXY"] == found["http_proxy"] == found["ALL_PROXY"] == _local().proxy
    assert (found["MINE"], found["KUBECONFIG"]) == ("x", "/k")
    outward = rewriting.variables({"HTTPS_PROXY": "http://127.0.0.1:5"}, _local(), "/k")
    assert (outward["HTTPS_PROXY"], outward["https_proxy"]) == ("http://127.0.0.1:5",) * 2
    assert outward["HTTP_PROXY"] == _local().proxy
    plain = rewriting.variables(given, _local("none"), "/k")
    assert "KUBERNETES_SERVICE_HOST" not in plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", "/real/data"),
        ("--path=/data/sub", "--path=/real/data/sub"),
        ("/data:/etc/app/a.yaml", "/real/data:/real/app/a.yaml"),
        ("cat /data; ls /data/x", "cat /real/data; ls /real/data/x"),
        ("/database", "/database"),
        ("/other/data", "/other/data"),
        ("./data", "./data"),
        ("/data-2", "/data-2"),
    ],
)
def test_paths_of_mounts_are_replaced_where_they_stand_alone(text: str, expected: str) -> None:
    assert rewriting.replacer([("/data", "/real/data"), ("/etc/app", "/real/app")])(text) == expected


async def test_a_program_that_cannot_be_told_where_to_listen_does_not_start(tmp_path: Path) -> None:
    """It would listen on every interface of this machine."""
    programs = {"web": web_server(), "told": listening_server()}
    async with cluster(tmp_path, programs, driver=proxy_network) as world:
        probe = {"ports": [{"containerPort": 8000}], "readinessProbe": {"tcpSocket": {"port": 8000}}}
        told = pod("told", "told", "--listen=:8000", f"--directory={tmp_path}", container=probe)
        await world.create(PODS, told)
        found = await world.wait(PODS, "told", is_ready)
        rewritten = found["metadata"]["annotations"]["nerv.dev/rewritten"]
        assert rewritten.startswith("main: --listen=:8000 -> --listen=127.")

        await world.create(PODS, pod("web", "web", "8000", restartPolicy="Never"))
        found = await world.wait(PODS, "web", lambda obj: obj.get("status", {}).get("phase") == "Failed")
        ended = found["status"]["containerStatuses"][0]["state"]["terminated"]
        name = Path(sys.executable).name
        reason = f"{name} cannot be told where to listen: it runs with network driver `namespaces` alone"
        assert (ended["exitCode"], ended["reason"], ended["message"]) == (128, "StartError", reason)

        async def told_by_an_event() -> bool:
            return f"Error: {reason}" in await world.messages("web")

        await eventually(told_by_an_event, "the event")
        assert "nerv.dev/rewritten" not in found["metadata"].get("annotations", {})
