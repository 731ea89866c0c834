"""The SSH client against a real sshd: trust, time-outs, root, lost and renewed connections."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.support.machines import Lan, Machine, needs_machines

from nerv.deploy import openssh, ssh, trust
from nerv.deploy.ssh import Access, Remote, Target
from nerv.deploy.trust import HostKey, Word
from nerv.errors import NervError

pytestmark = needs_machines
TARGET = Target("192.168.1.10")


def remote(net: Lan, machine: Machine, target: Target = TARGET) -> Remote:
    return Remote(target, [HostKey.parse(machine.host_key())], Access(net.identity))


def test_a_command_its_input_its_exit_code_and_its_lines(net: Lan, machine: Machine) -> None:
    async def scenario() -> None:
        async with remote(net, machine) as there:
            done = await there.run("cat; hostname; exit 3", input="given\n", check=False)
            assert (done.code, done.stdout) == (3, "given\nnerv-1\n")
            assert [line async for line in there.lines("echo one; echo two")] == ["one", "two"]
            with pytest.raises(
                ssh.CommandFailed, match=r"`false` on root@192.168.1.10 failed with exit code 1: no output"
            ):
                await there.run("false")
            assert (await there.run("kill -9 $$", check=False)).code == -1

    net.run(scenario)


def test_a_machine_offers_its_keys_and_the_users_word_decides(net: Lan, machine: Machine) -> None:
    offered = net.run(lambda: ssh.host_keys(TARGET))
    assert [key.line for key in offered] == [machine.host_key(), machine.host_key("ecdsa")]
    asked: list[str] = []

    def say_yes(place: str, key: HostKey) -> bool:
        asked.append(f"{place} {key.fingerprint}")
        return True

    chosen = trust.choose(Word(ask=say_yes), TARGET.host, 22, offered)
    assert chosen == offered[0]
    assert asked == [f"192.168.1.10 {offered[0].fingerprint}"]
    assert trust.choose(Word(accepted=(offered[1].fingerprint,)), TARGET.host, 22, offered) == offered[1]
    with pytest.raises(NervError, match="is not known") as caught:
        trust.choose(Word(), TARGET.host, 22, offered)
    assert caught.value.hint.endswith(f"--accept-host-key {offered[0].fingerprint}")
    with pytest.raises(NervError, match="is not an accepted one"):
        trust.choose(Word(accepted=("SHA256:another",), ask=say_yes), TARGET.host, 22, offered)


def test_known_hosts_decide_before_anybody_is_asked(net: Lan, machine: Machine, tmp_path: Path) -> None:
    offered = net.run(lambda: ssh.host_keys(TARGET))
    file = tmp_path / "known_hosts"
    file.write_text(f"{TARGET.host} {machine.host_key('ecdsa')}\n")
    assert trust.choose(Word(known_hosts=file), TARGET.host, 22, offered).line == machine.host_key("ecdsa")
    other = subprocess.run(
        f"ssh-keygen -q -t ed25519 -N '' -f {tmp_path}/other && cat {tmp_path}/other.pub",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    file.write_text(f"{TARGET.host} {other}")
    with pytest.raises(NervError, match="is not the one in") as caught:
        trust.choose(Word(known_hosts=file, ask=lambda place, key: True), TARGET.host, 22, offered)
    assert "someone may stand in between" in caught.value.hint


def test_another_host_key_ends_it_before_anything_is_sent(net: Lan, machine: Machine) -> None:
    there = remote(net, machine)
    machine.new_host_key()

    async def scenario() -> None:
        with pytest.raises(ssh.HostKeyMismatch, match="does not prove the host key SHA256:"):
            await there.run("hostname")

    net.run(scenario)
    assert "Accepted" not in machine.log().rpartition("Server listening")[2]


def test_a_lost_connection_is_made_anew_for_the_next_command_alone(net: Lan, machine: Machine) -> None:
    async def scenario() -> None:
        async with remote(net, machine) as there:
            await there.run("hostname")
            machine.restart_sshd()
            assert (await there.run("hostname")).stdout == "nerv-1\n"
            # the command takes its own connection away: whether it has ended there nobody knows
            with pytest.raises(ssh.ConnectionLost, match="was lost while"):
                await there.run("kill -9 $PPID; sleep 60")
            assert (await there.run("hostname")).stdout == "nerv-1\n"

    net.run(scenario)


def test_limits_say_what_was_waited_for(net: Lan, machine: Machine) -> None:
    async def scenario() -> None:
        async with remote(net, machine) as there:
            with pytest.raises(ssh.ConnectionLost, match=r"`sleep 60` on root@192.168.1.10 did not end within 0.2 s"):
                await there.run("sleep 60", timeout=0.2)
        with pytest.raises(ssh.Unreachable, match=r"SSH to 192.168.1.99, port 22: ") as caught:
            await ssh.connect(Target("192.168.1.99"), [], Access(net.identity), timeout=0.5)
        assert "is the machine on" in caught.value.hint
        with pytest.raises(ssh.Unreachable, match=r"Connection refused|Connect call failed"):
            await ssh.host_keys(Target(TARGET.host, 2222), timeout=0.5)

    net.run(scenario)


def test_keys_that_are_not_taken(net: Lan, machine: Machine, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "stranger")], check=True)
    stranger = Remote(TARGET, [HostKey.parse(machine.host_key())], Access(tmp_path / "stranger"))

    async def scenario() -> None:
        with pytest.raises(ssh.LoginRefused, match="takes none of your keys for root"):
            await stranger.run("hostname")

    net.run(scenario)


def test_the_ssh_given_to_other_programs_pins_the_key_whatever_they_say(
    net: Lan, machine: Machine, tmp_path: Path
) -> None:
    # what nixos-anywhere says to ssh
    careless = ["-oUserKnownHostsFile=/dev/null", "-oStrictHostKeyChecking=no", "-i", str(net.identity)]
    command = net.command("ssh", *careless, "root@192.168.1.10", "hostname")

    def run() -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **openssh.environment(tmp_path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    openssh.install(tmp_path, [TARGET], [HostKey.parse(machine.host_key())])
    assert run().stdout == "nerv-1\n"
    machine.new_host_key()
    done = run()
    assert (done.returncode, done.stdout) == (255, "")
    assert "Host key verification failed." in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.168.1.10", Target("192.168.1.10")),
        ("admin@host.example.org", Target("host.example.org", user="admin")),
        ("admin@10.0.0.1:2222", Target("10.0.0.1", 2222, "admin")),
    ],
)
def test_targets(text: str, expected: Target) -> None:
    assert Target.parse(text) == expected


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "a b", "user@", "root@host:port", ""])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(NervError, match="is not a target"):
        Target.parse(text)
