"""What the control plane is started with, and that it is kept running. No program of the engine is needed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.nodes import eventually

from nerv import certificates, documents
from nerv.engines.embedded import EmbeddedEngine
from nerv.engines.ports import HOST, HeldPort
from nerv.engines.protocol import EngineConfig
from nerv.engines.upstream import arguments, credentials
from nerv.engines.upstream.arguments import Places
from nerv.engines.upstream.children import Children, Program
from nerv.engines.upstream.engine import UpstreamEngine
from nerv.engines.upstream.store import Store
from nerv.errors import NervError
from nerv.operations import ports


def _config(folder: Path, port: HeldPort) -> EngineConfig:
    ca = certificates.create_ca("test-ca")
    pair = certificates.issue(ca, "any", names=[HOST], client=True)

    async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise AssertionError("the real API server dials by its egress selector")

    return EngineConfig(
        state=folder / "state",
        logs=folder / "logs",
        run_folder=folder,
        port=port,
        ca=ca,
        serving=pair,
        admin=pair,
        kubelet_client=pair,
        service_account_key=pair.key,
        pod_cidr="10.42.0.0/16",
        service_cidr="10.43.0.0/16",
        cluster_domain="cluster.local",
        egress_socket=folder / "egress.sock",
        dial=dial,
        outside_socket=folder / "outside.sock",
        dial_outside=dial,
    )


def _value(flags: list[str], name: str) -> str:
    (found,) = [flag.partition("=")[2] for flag in flags if flag.startswith(f"--{name}=")]
    return found


@pytest.fixture
def config(tmp_path: Path) -> Iterator[EngineConfig]:
    port = HeldPort()
    yield _config(tmp_path, port)
    port.release()


@pytest.fixture
def files(config: EngineConfig) -> credentials.Credentials:
    return credentials.write(config.state / "pki", config, "https://127.0.0.1:1")


def test_every_file_is_private_and_no_key_stands_in_an_argument(
    config: EngineConfig, files: credentials.Credentials, tmp_path: Path
) -> None:
    written = list((config.state / "pki").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    assert stat.S_IMODE((config.state / "pki").stat().st_mode) == 0o700
    places = Places(1, 2, 3, tmp_path / "etcd", tmp_path / "egress.yaml", tmp_path / "admission.yaml")
    lines = [
        *arguments.etcd(places, files),
        *arguments.api_server(config, places, files),
        *arguments.controller_manager(config, files),
        *arguments.scheduler(files),
    ]
    assert not any("PRIVATE" in line or config.service_account_key[30:60] in line for line in lines)


def test_three_authorities_do_not_know_each_other(files: credentials.Credentials) -> None:
    authorities = {
        files.ca.certificate.read_text(),
        files.etcd_ca.read_text(),
        files.front_proxy_ca.read_text(),
    }
    assert len(authorities) == 3


def test_everything_listens_on_loopback_and_etcd_takes_nobody_without_a_certificate(
    config: EngineConfig, files: credentials.Credentials, tmp_path: Path
) -> None:
    places = Places(2379, 2380, 6443, tmp_path / "etcd", tmp_path / "egress.yaml", tmp_path / "admission.yaml")
    etcd = arguments.etcd(places, files)
    assert _value(etcd, "listen-client-urls") == "https://127.0.0.1:2379"
    assert _value(etcd, "listen-peer-urls") == "https://127.0.0.1:2380"
    assert _value(etcd, "client-cert-auth") == _value(etcd, "peer-client-cert-auth") == "true"
    server = arguments.api_server(config, places, files)
    assert _value(server, "bind-address") == HOST
    assert _value(server, "authorization-mode") == "Node,RBAC"
    for flags in (arguments.controller_manager(config, files), arguments.scheduler(files)):
        assert _value(flags, "secure-port") == "0"


def test_the_api_server_reaches_the_cluster_by_the_egress_socket_alone(
    config: EngineConfig, files: credentials.Credentials, tmp_path: Path
) -> None:
    places = Places(1, 2, 3, tmp_path / "etcd", tmp_path / "egress.yaml", tmp_path / "admission.yaml")
    server = arguments.api_server(config, places, files)
    assert _value(server, "egress-selector-config-file") == str(places.egress)
    assert _value(server, "enable-aggregator-routing") == "true"
    written = arguments.egress_selector(config.egress_socket, config.outside_socket)
    selections = documents.load(written)["egressSelections"]
    by_name = {each["name"]: each["connection"] for each in selections}
    assert by_name["cluster"] == {
        "proxyProtocol": "HTTPConnect",
        "transport": {"uds": {"udsName": str(config.egress_socket)}},
    }
    # webhooks that are named by a URL: nothing but etcd is dialled directly
    assert by_name["controlplane"]["transport"] == {"uds": {"udsName": str(config.outside_socket)}}
    assert by_name["etcd"] == {"proxyProtocol": "Direct"}


@pytest.mark.parametrize("options", [(), (socket.SO_REUSEADDR,)])  # with the second as nearly every server has it
def test_a_held_port_is_nobodys_but_can_be_shared(options: tuple[int, ...]) -> None:
    held = HeldPort()
    with socket.socket() as stranger:
        for option in options:
            stranger.setsockopt(socket.SOL_SOCKET, option, 1)
        with pytest.raises(OSError, match="in use"):
            stranger.bind((HOST, held.number))
    with socket.socket() as program, socket.socket() as client:
        program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        program.bind((HOST, held.number))
        program.listen()
        client.connect((HOST, held.number))  # the holder does not listen, so it gets nothing
        accepted, _ = program.accept()
        accepted.close()
    held.release()
    held.release()


@pytest.mark.parametrize("shares", [False, True])
def test_a_port_that_is_taken_is_named(shares: bool) -> None:
    with socket.socket() as other:
        if shares:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((HOST, 0))
        other.listen()
        number = other.getsockname()[1]
        with pytest.raises(NervError, match=f"port {number} of 127.0.0.1 is taken"):
            HeldPort(number)


def test_two_platforms_do_not_share_a_port(tmp_path: Path) -> None:
    held = HeldPort()
    with pytest.raises(NervError, match=f"port {held.number} of 127.0.0.1 is taken"):
        HeldPort(held.number)
    recorded = tmp_path / "state.json"
    recorded.write_text(json.dumps({"apiPort": held.number}))
    second = ports.hold_api_port(recorded)
    assert second.number != held.number
    assert json.loads(recorded.read_text()) == {"apiPort": second.number}
    second.release()
    held.release()


@pytest.mark.parametrize("told", ['{"apiPort": %d}', "", "{}", '{"apiPort": 70000}'])
def test_the_port_is_the_platforms_from_its_choice_on(tmp_path: Path, told: str) -> None:
    free = HeldPort()
    free.release()
    recorded = tmp_path / "state.json"
    recorded.write_text(told % free.number if "%d" in told else told)
    held = ports.hold_api_port(recorded)
    assert held.number == free.number or "%d" not in told
    assert json.loads(recorded.read_text()) == {"apiPort": held.number}
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind((HOST, held.number))
    held.release()
    again = ports.hold_api_port(recorded)
    assert again.number == held.number
    again.release()


async def test_our_own_api_server_listens_on_a_held_port(config: EngineConfig) -> None:
    for folder in (config.state, config.logs):
        folder.mkdir()
    engine = EmbeddedEngine()
    endpoint = await engine.start(config)
    assert endpoint.url == f"https://{HOST}:{config.port.number}"
    _, writer = await asyncio.open_connection(HOST, config.port.number)  # the holder gets no connections
    await writer.start_tls(ssl.create_default_context(cadata=config.ca.certificate))
    writer.close()
    await engine.stop()


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def _pid(children: Children, name: str, other_than: int = 0) -> int:
    await eventually(lambda: children.pids.get(name, other_than) != other_than, f"{name} to be started")
    return children.pids[name]


def _complaint(children: Children) -> NervError | None:
    try:
        children.check()
    except NervError as error:
        return error
    return None


async def test_a_program_that_is_killed_is_started_again(tmp_path: Path) -> None:
    children = Children()
    children.start(Program("sleeper", _python("import time; time.sleep(600)"), tmp_path / "logs" / "a.log", {}))
    first = await _pid(children, "sleeper")
    os.kill(first, signal.SIGKILL)
    second = await _pid(children, "sleeper", first)
    await children.stop()
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_program_that_cannot_start_is_named_with_what_it_said(tmp_path: Path) -> None:
    children = Children()
    log = tmp_path / "logs" / "broken.log"
    children.start(Program("broken", _python("import sys; sys.exit('no such flag: --nonsense')"), log, {}))
    said = await eventually(lambda: _complaint(children), "three ends")
    assert said.message == "broken does not start: no such flag: --nonsense"
    assert log.read_text().count("nonsense") == 3
    assert str(log) in said.hint
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    await children.stop()


async def test_what_keeps_ending_is_told_until_it_runs_steadily(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []
    children = Children(lambda: told.append(children.failing), steady=0.5)
    ready, log = tmp_path / "ready", tmp_path / "logs" / "part.log"
    code = f"import os, sys, time\nos.path.exists({str(ready)!r}) or sys.exit('no configuration')\ntime.sleep(600)"
    children.start(Program("part", _python(code), log, {}))
    children.start(Program("sound", _python("import time; time.sleep(600)"), tmp_path / "sound.log", {}))
    await eventually(lambda: len(told) == 2, "the second end")
    said = f"part ({log}) ended with exit code 1: no configuration; started again after"
    assert told == [(f"{said} 0.25 s",), (f"{said} 0.5 s",)]
    assert children.failing == told[-1]

    ready.touch()
    await eventually(lambda: told[-1] == (), "it to be forgotten")
    os.kill(await _pid(children, "part"), signal.SIGKILL)
    await eventually(lambda: told[-1] != (), "the next end")
    assert told[-1][0].startswith(f"part ({log}) was ended by SIGKILL: ")
    await children.stop()


async def test_a_program_that_the_kernel_refuses_is_named_with_the_reason(tmp_path: Path) -> None:
    children = Children()
    program = tmp_path / "foreign"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    children.start(Program("foreign", [str(program)], tmp_path / "foreign.log", {}))
    said = await eventually(lambda: _complaint(children), "the third refusal")
    assert said.message == f"foreign does not start: `{program}` cannot be started: Exec format error"
    await children.stop()


async def test_programs_end_in_reverse_order(tmp_path: Path) -> None:
    children = Children()
    told = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(told)!r}, 'a').write(sys.argv[1] + '\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"
    )
    for name in ("first", "second"):
        log = tmp_path / f"{name}.log"
        children.start(Program(name, (*_python(code), name), log, {}))
        await eventually(lambda log=log: log.exists() and "up" in log.read_text(), f"{name} to be up")
    await children.stop()
    assert told.read_text().split() == ["second", "first"]


async def test_an_engine_that_is_not_built_says_so_before_anything_starts(config: EngineConfig, tmp_path: Path) -> None:
    engine = UpstreamEngine(Store(tmp_path / "nothing"))
    with pytest.raises(NervError, match="the upstream engine is not built: etcd, kube-apiserver"):
        engine.check()
    with pytest.raises(NervError, match="not built"):
        await engine.start(config)
    assert not config.state.exists()
