"""The proxy and the cluster's own hosts: they lead inside, and are never dialled on this machine's network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from nerv.http.messages import Response
from nerv.http.server import Server, listen
from nerv.mirror import proxy as proxies
from nerv.mirror.inside import Ends, Inside
from nerv.mirror.proxy import Proxy, Refused
from nerv.network.driver import DialError

NETWORKS = tuple(map(IPv4Network, ("10.42.0.0/16", "10.43.0.0/16", "192.168.1.111/32")))


async def _nowhere(host: str, port: int) -> Ends:
    raise DialError(f"dial tcp {host}:{port}: connect: connection refused")


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("10.42.3.4", True),
        ("10.43.0.1", True),
        ("::ffff:10.43.0.1", True),
        ("192.168.1.111", True),
        ("192.168.1.112", False),
        ("192.168.7.7", True),
        ("10.44.0.1", False),
        ("2001:db8::1", False),
        ("charts.default.svc", True),
        ("Charts.default.SVC.cluster.local.", True),
        ("svc", False),
        ("cluster.local.example.test", False),
        ("git.example.test", False),
    ],
)
def test_the_clusters_own_hosts(host: str, inside: bool) -> None:
    assert Inside(_nowhere, NETWORKS, "cluster.local", lambda: {"192.168.7.7"}).holds(host) is inside


@pytest.fixture
def no_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on this machine's network would fail the test instead of reaching anybody."""

    async def connect(addresses: Sequence[str], port: int) -> Ends:
        pytest.fail(f"{addresses} were dialled on this machine's network")

    monkeypatch.setattr(proxies, "_connect", connect)


async def _served(folder: Path) -> tuple[Server, Path]:
    path = folder / "inside.sock"
    return await listen(lambda request: Response(200, b"inside"), unix=path), path


@pytest.mark.usefixtures("no_other_way")
@pytest.mark.parametrize("host", ["10.43.0.9", "192.168.1.111", "charts.default.svc.cluster.local"])
@pytest.mark.parametrize("offline", [False, True])
async def test_they_are_reached_through_the_cluster(tmp_path: Path, host: str, offline: bool) -> None:
    server, path = await _served(tmp_path)
    dialled = []

    async def dial(host: str, port: int) -> Ends:
        dialled.append((host, port))
        return await asyncio.open_unix_connection(str(path))

    try:
        way = Proxy(dict, inside=Inside(dial, NETWORKS, "cluster.local"), offline=offline)
        reader, writer = await way.open(host, 80)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"inside")
        writer.close()
        assert dialled == [(host, 80)]
        assert not way.refused
    finally:
        await server.close()


@pytest.mark.usefixtures("no_other_way")
async def test_what_does_not_answer_inside_is_said_in_the_networks_words() -> None:
    way = Proxy(dict, inside=Inside(_nowhere, NETWORKS, "cluster.local"), offline=False)
    with pytest.raises(Refused, match=r"10.43.0.9:80 of the cluster does not answer: .* connection refused") as caught:
        await way.open("10.43.0.9", 80)
    assert caught.value.status == 502


@pytest.mark.usefixtures("no_other_way")
@pytest.mark.parametrize("host", ["0x0a2b0001", "170590209"])
async def test_another_spelling_of_a_cluster_address_is_refused(host: str) -> None:
    way = Proxy(dict, inside=Inside(_nowhere, NETWORKS, "cluster.local"), offline=False)
    with pytest.raises(Refused, match="has an address of the cluster, which is not dialled outside"):
        await way.open(host, 80)


@pytest.mark.usefixtures("no_other_way")
@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9fea9fe", "fe80::1"])
async def test_this_machines_link_is_not_served(host: str) -> None:
    """Clouds tell a machine its secrets there."""
    way = Proxy(dict, offline=False)
    with pytest.raises(Refused, match=f"{host}:80 is on this machine's own link, which is not served") as caught:
        await way.open(host, 80)
    assert caught.value.status == 403


@pytest.mark.usefixtures("no_other_way")
async def test_offline_a_name_that_leads_elsewhere_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["127.0.0.1"], ["127.0.0.1", "203.0.113.7"]]

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0)

    monkeypatch.setattr(proxies, "_resolve", resolve)
    way = Proxy(dict, loopback={("git.example.test", 443)}, offline=True)
    with pytest.raises(Refused, match=r"offline: git.example.test is not mirrored here") as caught:
        await way.open("git.example.test", 443)
    assert caught.value.status == 503
    assert way.refused == {"git.example.test"}
    assert answers == []


@pytest.mark.usefixtures("no_other_way")
@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example.test"])
async def test_what_no_name_can_be_does_not_answer(host: str) -> None:
    way = Proxy(dict, offline=False)
    with pytest.raises(Refused, match=f"{host}:443 does not answer: lookup {host}: no such host"):
        await way.open(host, 443)
    offline = Proxy(dict, loopback={(host, 443)}, offline=True)
    with pytest.raises(Refused, match="is not mirrored here"):
        await offline.open(host, 443)


async def test_before_the_mirror_serves_its_hosts_do_not_answer(tmp_path: Path) -> None:
    way = Proxy(lambda: {("git.example.test", 443): tmp_path / "mirror.sock"}, offline=False)
    with pytest.raises(DialError, match=r"the mirror of git.example.test:443 does not answer: No such file"):
        await way.dial("git.example.test", 443)


async def test_a_port_that_none_can_be_is_refused(tmp_path: Path) -> None:
    way = Proxy(dict, loopback={("127.0.0.1", 99999)}, offline=False)
    await way.start(tmp_path / "outside.sock")
    try:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "outside.sock"))
        writer.write(b"CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 99999 is no port\r\n")
        writer.close()
    finally:
        await way.stop()
