"""Waiting for machines: the new system, K3s, a unit that does its work; each wait ends and says what it was for."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.machines import Lan, Machine, needs_machines

from nerv.deploy import waiting
from nerv.deploy.ssh import Access, HostKeyMismatch, Remote, Target
from nerv.deploy.trust import HostKey
from nerv.deploy.waiting import NotJoined, Patience
from nerv.errors import NervError

pytestmark = needs_machines
TARGET = Target("192.168.1.10")
SHORT = Patience(boot=1.0, join=1.0, flux=1.0, health=1.0, between=0.05)
MADE = HostKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPH2SsX8lfhbJUfmH/PVHx0i1ZOD3IfXkEm7ig+VjNaZ")


def key(machine: Machine) -> HostKey:
    return HostKey.parse(machine.host_key())


def unit(machine: Machine, name: str, state: str, journal: str, restarts: int = 0) -> None:
    active, sub = state.split("/")
    text = f"ActiveState={active}\nSubState={sub}\nResult=success\nNRestarts={restarts}\n"
    machine.write(f"/standin/journal/{name}", journal)
    machine.write(f"/standin/units/{name}", text)


async def told(said: list[str], count: int) -> None:
    """Wait until so many lines were said."""
    async with asyncio.timeout(20):
        while len(said) < count:  # noqa: ASYNC110  lines come from another process
            await asyncio.sleep(0.01)


def test_the_new_system_proves_the_key_that_was_made(net: Lan, machine: Machine) -> None:
    said: list[str] = []
    access = Access(net.identity)
    net.run(lambda: waiting.new_system(TARGET, key(machine), None, access, SHORT, said.append))
    with pytest.raises(NervError, match="does not answer within 1 s: the old system") as caught:
        net.run(lambda: waiting.new_system(TARGET, MADE, key(machine), access, SHORT, said.append))
    assert "boot order" in caught.value.hint
    with pytest.raises(HostKeyMismatch, match=r"answers with the host key SHA256:\S+ .* instead of SHA256:"):
        net.run(lambda: waiting.new_system(TARGET, MADE, MADE, access, SHORT, said.append))
    with pytest.raises(NervError, match=r"does not answer within 1 s: SSH to 192.168.1.77, port 22"):
        net.run(lambda: waiting.new_system(Target("192.168.1.77"), MADE, None, access, SHORT, said.append))


def test_k3s_that_joins_late_and_k3s_that_never_does(net: Lan, machine: Machine) -> None:
    said: list[str] = []
    refused = 'msg="failed to get CA certs: dial tcp 192.168.1.9:6443: connect: connection refused"\n'

    async def late() -> None:
        unit(machine, "k3s", "activating/start", refused, restarts=9)
        async with Remote(TARGET, [key(machine)], Access(net.identity)) as remote:
            joining = asyncio.create_task(waiting.joined(remote, None, Patience(join=30, between=0.05), said.append))
            await told(said, 1)
            unit(machine, "k3s", "active/running", refused)
            await joining

    net.run(late)
    assert said == ["waiting for K3s: start; 192.168.1.9:6443 does not answer: connection refused"]

    async def never() -> None:
        unit(machine, "k3s", "activating/auto-restart", refused, restarts=9)
        async with Remote(TARGET, [key(machine)], Access(net.identity)) as remote:
            await waiting.joined(remote, None, SHORT, said.append)

    with pytest.raises(NotJoined, match="K3s did not join within 1 s") as caught:
        net.run(never)
    assert caught.value.lines()[1].startswith("cause: 192.168.1.9:6443 does not answer")


def test_a_permanent_cause_ends_the_waiting_early(net: Lan, machine: Machine) -> None:
    async def scenario() -> None:
        unit(machine, "k3s", "activating/auto-restart", "duplicate node name found", restarts=3)
        async with Remote(TARGET, [key(machine)], Access(net.identity)) as remote:
            await waiting.joined(remote, None, Patience(join=3600, between=0.05), print)

    with pytest.raises(NotJoined, match="K3s was started 4 times in vain"):
        net.run(scenario)


def test_a_running_agent_is_not_taken_for_a_joined_one(net: Lan, machine: Machine) -> None:
    # Type=exec: the unit is active from the first moment, and K3s tries for ever
    refused = 'time="{}" level=error msg="token is not valid: https://127.0.0.1:6444/cacerts: 401 Unauthorized"\n'
    said: list[str] = []
    ready = False

    async def registered() -> bool:
        return ready

    async def wrong_token() -> None:
        unit(machine, "k3s", "active/running", refused.format(0))
        async with Remote(TARGET, [key(machine)], Access(net.identity)) as remote:
            patience = Patience(join=3600, between=0.05)
            joining = asyncio.create_task(waiting.joined(remote, registered, patience, said.append))
            await told(said, 1)
            with machine.path("/standin/journal/k3s").open("a") as journal:
                journal.writelines(refused.format(number) for number in (5, 10, 15))
            await joining

    with pytest.raises(NotJoined, match="K3s runs and tries in vain") as caught:
        net.run(wrong_token)
    assert said == ["waiting for K3s: it runs, its Node is not Ready yet; the server refuses the token"]
    assert caught.value.lines()[1].startswith("cause: the server refuses the token (servers need k3s-token")

    async def what_an_earlier_one_said() -> None:
        nonlocal ready
        unit(machine, "k3s", "active/running", "".join(map(refused.format, range(9))), restarts=9)
        async with Remote(TARGET, [key(machine)], Access(net.identity)) as remote:
            joining = asyncio.create_task(waiting.joined(remote, registered, Patience(between=0.05), said.append))
            await told(said, 2)
            with machine.path("/standin/journal/k3s").open("a") as journal:
                journal.write("Running kube-proxy\n")
            ready = True
            await joining

    net.run(what_an_earlier_one_said)


def test_a_unit_is_followed_until_it_has_done_its_work(net: Lan, machine: Machine) -> None:
    said: list[str] = []

    async def scenario() -> None:
        unit(machine, "flux-bootstrap", "activating/start", "waiting for the API server\n")
        async with Remote(TARGET, [key(machine)], Access(net.identity)) as remote:
            patience = Patience(between=0.05)
            following = asyncio.create_task(waiting.finished(remote, "flux-bootstrap", patience, said.append, 30))
            await told(said, 1)
            with machine.path("/standin/journal/flux-bootstrap").open("a") as journal:
                journal.write("applied 31 objects\n")
            await told(said, 2)
            machine.write("/standin/units/flux-bootstrap", "ActiveState=active\nSubState=exited\n")
            await following

    net.run(scenario)
    assert said == ["flux-bootstrap: waiting for the API server", "flux-bootstrap: applied 31 objects"]


def test_a_unit_that_fails_says_its_last_word(net: Lan, machine: Machine) -> None:
    async def scenario() -> None:
        unit(machine, "flux-bootstrap", "failed/failed", "applied\nthe git login is empty: run `nerv bootstrap`\n")
        async with Remote(TARGET, [key(machine)], Access(net.identity)) as remote:
            await waiting.finished(remote, "flux-bootstrap", SHORT, print, 30)

    with pytest.raises(NervError, match=r"flux-bootstrap on 192.168.1.10 failed: the git login is empty") as caught:
        net.run(scenario)
    assert "systemctl restart flux-bootstrap" in caught.value.hint
