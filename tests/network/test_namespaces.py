"""The driver `namespaces`, with real namespaces: as root, and as an ordinary user where the tests run as root."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.nodes import eventually, http_get, needs_namespaces, network

import nerv
from nerv import process
from nerv.errors import NervError
from nerv.network import namespaces
from nerv.network.driver import DialError, NameTable
from nerv.network.namespaces import NamespaceNetwork
from nerv.network.routes import Inside, Outside, Route
from nerv.node import processes
from nerv.node.processes import ContainerSpec

pytestmark = needs_namespaces


@pytest.fixture
async def net() -> AsyncIterator[NamespaceNetwork]:
    async with network() as made:
        yield made


async def _echo(net: NamespaceNetwork) -> tuple[asyncio.Server, Outside]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    path = str(net.config.run_folder / "echo.sock")
    return await asyncio.start_unix_server(serve, path), Outside(path)


async def _says(net: NamespaceNetwork, host: str, port: int, data: bytes) -> bytes:
    """What comes back over the relay, also where a shorter way is known."""
    reader, writer = await net._dial_inside(host, port)
    sending = asyncio.create_task(_send(writer, data))
    try:
        return await reader.read() if data else b""
    finally:
        await sending
        writer.close()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    writer.write_eof()


async def test_addresses_lead_through_the_relay_to_a_socket_outside(net: NamespaceNetwork) -> None:
    server, outside = await _echo(net)
    await net.set_routes(
        [
            Route("10.42.0.9", 9443, (outside,)),
            Route("10.43.0.7", 443, (Inside("10.42.0.9", 9443),)),
            Route("192.168.1.111", 443, (Inside("10.43.0.7", 443),)),
        ]
    )
    large = os.urandom(3 << 20)
    for address, port in (("10.42.0.9", 9443), ("10.43.0.7", 443), ("192.168.1.111", 443)):
        assert await _says(net, address, port, large) == large
    reader, writer = await net.dial("10.43.0.7", 443)
    writer.write(b"short way")
    writer.write_eof()
    assert await reader.read() == b"short way"
    writer.close()
    server.close()


async def test_what_nobody_serves_is_refused_in_gos_words(net: NamespaceNetwork) -> None:
    await net.set_routes([Route("10.43.0.7", 443, ())])
    for port in (443, 80):
        with pytest.raises(DialError, match=rf"^dial tcp 10\.43\.0\.7:{port}: connect: connection refused$"):
            await net.dial("10.43.0.7", port)
    with pytest.raises(DialError, match="connect: network is unreachable"):
        await net.dial("203.0.113.1", 80)
    with pytest.raises(DialError, match=r"^dial tcp: lookup nowhere\.example: no such host$"):
        await net.dial("nowhere.example", 80)


async def test_a_route_that_goes_takes_its_listener_along(net: NamespaceNetwork) -> None:
    server, outside = await _echo(net)
    await net.set_routes([Route("192.168.1.111", 443, (outside,))])
    assert await _says(net, "192.168.1.111", 443, b"x") == b"x"
    await net.set_routes([])
    with pytest.raises(DialError):
        await net.dial("192.168.1.111", 443)
    server.close()


async def test_names_are_resolved_for_dialling_and_by_dns_inside(net: NamespaceNetwork) -> None:
    server, outside = await _echo(net)
    await net.set_routes([Route("10.43.0.7", 80, (outside,))])
    await net.set_service_names(NameTable({"web.default.svc.cluster.local": ("10.43.0.7",)}))
    await net.set_names({"Charts.Example.org": ("10.43.0.7",)})
    for name in ("web.default.svc.cluster.local", "charts.example.org"):
        assert await _says(net, name, 80, b"x") == b"x"
    labels = b"\x03web\x07default\x03svc\x07cluster\x05local\x00"
    query = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!HH", 1, 1)
    answer = await _says(net, "10.43.0.10", 53, struct.pack("!H", len(query)) + query)
    assert answer.endswith(socket.inet_aton("10.43.0.7"))
    server.close()


_CLIENT_AND_SERVER = """
import socket
held = socket.create_connection(("10.43.0.7", 80))
listener = socket.create_server(("", 8000))
while True:
    with listener.accept()[0] as connection:
        connection.sendall(connection.recv(9999) and b"hello")
"""


async def test_pods_that_go_leave_the_others_reachable(net: NamespaceNetwork) -> None:
    """The bridge's MAC address stays, also when the port goes whose address it would have taken by itself."""
    connections: list[asyncio.StreamWriter] = []
    outside = str(net.config.run_folder / "service.sock")
    server = await asyncio.start_unix_server(lambda _, writer: connections.append(writer), outside)
    await net.set_routes([Route("10.43.0.7", 80, (Outside(outside),))])
    others = [str(number) for number in range(10, 26)]
    for other in others:
        await net.add_pod(other, f"10.42.0.{other}")
    pod = await net.add_pod("pod", "10.42.0.5")
    command = (sys.executable, "-c", _CLIENT_AND_SERVER)
    run = await processes.start(ContainerSpec(pod, "pod", command, {}, net.config.run_folder.parent / "root"))
    await eventually(lambda: http_get(net, "10.42.0.5", 8000), "the pod's answer")

    for other in others:
        await net.remove_pod(other)
    connections[0].write(b"asks for the pod's MAC address in the name of the Service, not of the gateway")
    await connections[0].drain()
    async with asyncio.timeout(4):
        assert await http_get(net, "10.42.0.5", 8000) == b"hello"
    await run.stop(0)
    connections[0].close()
    server.close()


_DIALS = """
import socket, sys
for host, port in (("10.42.0.9", 80), ("10.42.3.77", 443), ("10.43.0.7", 80)):
    try:
        socket.create_connection((host, port), timeout=20)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


async def test_a_pod_that_is_simulated_refuses_at_once(net: NamespaceNetwork) -> None:
    """It has an address, and nobody listens there: refused, as by any pod without a listener, not a long silence."""
    await net.set_routes([Route("10.43.0.7", 80, (Inside("10.42.0.9", 80),))])
    async with asyncio.timeout(1):
        with pytest.raises(DialError, match=r"^dial tcp 10\.42\.0\.9:80: connect: connection refused$"):
            await net.dial("10.42.0.9", 80)
        with pytest.raises(DialError, match="connection refused"):
            await net.dial("10.43.0.7", 80)
    pod = await net.add_pod("pod", "10.42.0.5")
    spec = ContainerSpec(pod, "pod", (sys.executable, "-c", _DIALS), {}, net.config.run_folder.parent / "root")
    begun = asyncio.get_running_loop().time()
    run = await processes.start(spec)
    told = (await run.stdout.read()).decode().split()
    assert told[:2] == ["ConnectionRefusedError"] * 2
    assert asyncio.get_running_loop().time() - begun < 2.5  # an address that nobody answers for takes three seconds
    await run.wait()


async def test_an_address_goes_from_nobody_to_a_pod_and_back(net: NamespaceNetwork) -> None:
    with pytest.raises(DialError, match="connection refused"):
        await net.dial("10.42.0.5", 8000)
    pod = await net.add_pod("pod", "10.42.0.5")
    command = (sys.executable, "-c", _CLIENT_AND_SERVER.replace("held =", "# held ="))
    run = await processes.start(ContainerSpec(pod, "pod", command, {}, net.config.run_folder.parent / "root"))
    assert await eventually(lambda: http_get(net, "10.42.0.5", 8000), "the pod's answer") == b"hello"
    await run.stop(0)
    await net.remove_pod("pod")
    async with asyncio.timeout(1):
        with pytest.raises(DialError, match="connection refused"):
            await net.dial("10.42.0.5", 8000)


async def test_a_relay_that_was_killed_is_started_again_with_all_that_it_knew(net: NamespaceNetwork) -> None:
    server, outside = await _echo(net)
    await net.set_routes([Route("10.43.0.7", 80, (outside,))])
    await net.set_names({"charts.example.org": ("10.43.0.7",)})
    await net.set_service_names(NameTable({"web.default.svc.cluster.local": ("10.43.0.7",)}))
    before = net.pid
    renewed = asyncio.create_task(net.renewed())
    os.kill(before, signal.SIGKILL)
    await asyncio.wait_for(renewed, 10)
    assert net.pid not in (0, before)
    for name in ("charts.example.org", "web.default.svc.cluster.local", "10.43.0.7"):
        assert await _says(net, name, 80, b"x") == b"x"
    pod = await net.add_pod("pod", "10.42.0.5")
    command = (sys.executable, "-c", _CLIENT_AND_SERVER)
    run = await processes.start(ContainerSpec(pod, "pod", command, {}, net.config.run_folder.parent / "root"))
    assert await eventually(lambda: http_get(net, "10.42.0.5", 8000), "the pod's answer") == b"hello"
    await run.stop(0)
    server.close()


async def test_a_relay_that_ends_again_and_again_is_told_in_one_line(net: NamespaceNetwork) -> None:
    for _ in range(3):
        os.kill(net.pid, signal.SIGKILL)
        await asyncio.wait_for(net.renewed(), 10)
    os.kill(net.pid, signal.SIGKILL)
    with pytest.raises(NervError, match=r"has ended 4 times within a minute \(exit code -?\d+\)") as caught:
        await asyncio.wait_for(net.renewed(), 10)
    assert "relay.log" in caught.value.hint


async def test_the_relay_dies_with_its_parent() -> None:
    folder = Path(tempfile.mkdtemp(prefix="nerv-"))
    code = (
        "import asyncio, sys; from pathlib import Path; from nerv.network.namespaces import *\n"
        "async def main():\n"
        "    net = NamespaceNetwork(NetworkConfig(Path(sys.argv[1])))\n"
        "    await net.start(); print(net.pid, flush=True); await asyncio.sleep(1000)\n"
        "asyncio.run(main())"
    )
    try:
        child = await process.start([sys.executable, "-c", code, str(folder)], stdout=asyncio.subprocess.PIPE)
        assert child.handle.stdout is not None
        relay = int(await child.handle.stdout.readline())
        assert Path(f"/proc/{relay}").exists()
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        await eventually(lambda: not Path(f"/proc/{relay}").exists(), "the end of the relay")
    finally:
        shutil.rmtree(folder)


async def test_sockets_are_private(net: NamespaceNetwork) -> None:
    assert net.config.run_folder.stat().st_mode & 0o777 == 0o700
    for name in ("egress.sock", "control.sock"):
        assert (net.config.run_folder / name).stat().st_mode & 0o077 == 0


async def test_a_refusal_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = [sys.executable, "-c", "import sys; sys.exit('unshare: Operation not permitted')"]
    monkeypatch.setattr(namespaces, "isolated_python", lambda *_: refusing)
    said = await NamespaceNetwork.available()
    assert said.startswith("user namespaces are refused here: unshare: Operation not permitted (")
    assert "\n" not in said


_AS_USER = """
import asyncio, json, shutil, tempfile
from pathlib import Path
from nerv.network.namespaces import NamespaceNetwork, NetworkConfig
from nerv.node import processes
from nerv.node.processes import ContainerSpec

async def main():
    folder = Path(tempfile.mkdtemp(prefix="nerv-"))
    net = NamespaceNetwork(NetworkConfig(folder / "run"))
    problem = await NamespaceNetwork.available()
    if problem:
        print(json.dumps({"refused": problem}))
        return
    await net.start()
    pod = await net.add_pod("p", "10.42.0.5")
    spec = ContainerSpec(pod, "p", ("/bin/sh", "-c", "id -u; hostname; cat /proc/net/fib_trie"), {}, folder / "root",
                         visible=(), user=65532, group=65532)
    run = await processes.start(spec)
    out = (await run.stdout.read()).decode().split()
    print(json.dumps({"user": out[0], "host": out[1], "address": "10.42.0.5" in out, "code": await run.wait()}))
    await net.stop()
    shutil.rmtree(folder)

asyncio.run(main())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="root, to become another user")
async def test_an_ordinary_user_has_the_same() -> None:
    python = next((path for path in ("/usr/bin/python3.11", "/usr/bin/python3") if Path(path).exists()), None)
    setpriv = shutil.which("setpriv")
    if python is None or setpriv is None:
        pytest.skip("an ordinary user needs setpriv and a Python outside of root's home")
    import typing_extensions

    libraries = Path(tempfile.mkdtemp(prefix="nerv-"))
    try:
        libraries.chmod(0o755)
        shutil.copytree(Path(nerv.__file__).parent, libraries / "nerv", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(str(typing_extensions.__file__), libraries)
        done = await process.run(
            [setpriv, "--reuid=54321", "--regid=54321", "--clear-groups", python, "-B", "-c", _AS_USER],
            env={"PYTHONPATH": str(libraries), "HOME": "/nonexistent"},
            cwd=Path("/"),
            timeout=60,
        )
    finally:
        shutil.rmtree(libraries)
    found = json.loads(done.stdout)
    if "refused" in found:
        pytest.skip(found["refused"])
    assert found == {"user": "65532", "host": "p", "address": True, "code": 0}
