"""Preflight: a real machine is asked, and every fact is judged against the definition, all problems at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from tests.support.machines import Lan, device, lan, needs_machines

from nerv.deploy import facts, preflight
from nerv.deploy.facts import Facts, Question
from nerv.deploy.preflight import GIBI, Wanted
from nerv.deploy.ssh import Access, Remote, Target
from nerv.deploy.trust import HostKey
from nerv.platform.models import Disk, Node
from nerv.platform.types import AddressRange

POOL = AddressRange(IPv4Address("192.168.1.111"), IPv4Address("192.168.1.114"), "192.168.1.111-192.168.1.114")
NODE = Node.model_validate({"name": "nerv-1", "address": "192.168.1.10"})
WANTED = Wanted(NODE, IPv4Address("192.168.1.1"), IPv4Address("192.168.1.9"), (POOL,), first=True)
GOOD = Facts(
    {
        "os": "Linux",
        "architecture": "x86_64",
        "memory": str(4 * GIBI // 1024),
        "firmware": "uefi",
        "container": "none",
        "kexec": "y",
        "kexec-disabled": "0",
        "disk./dev/sda": str(64 * GIBI),
        "present./dev/sda": str(64 * GIBI),
        "own.192.168.1.10": "static",
        "answers.192.168.1.10": "ping",
        "answers.192.168.1.1": "ping",
        **{f"program.{name}": "y" for name in ("tar", "cpio", "setsid", "ping", "ip", "curl")},
    },
    user="root",
    elevate="",
    clock_offset=0.4,
)


def judged(wanted: Wanted = WANTED, **changes: str) -> list[str]:
    """What is found where facts are changed; `__` stands for a dot, an empty value for a fact that is missing."""
    values = {**GOOD.values, **{key.replace("__", "."): value for key, value in changes.items()}}
    found = preflight.judge(wanted, replace(GOOD, values={key: value for key, value in values.items() if value}))
    return [str(finding) for finding in found]


def test_a_good_machine_has_no_findings() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"architecture": "aarch64"}, "the machine is aarch64, the definition says x86_64 (`architecture: aarch64`"),
        ({"memory": str(GIBI // 1024)}, "1.0 GiB of RAM, the installer needs 1.5 GiB (give the machine more memory)"),
        ({"kexec": "n"}, "its kernel has no kexec (boot the NixOS installer from a stick"),
        ({"kexec-disabled": "1"}, "kexec is switched off (kernel.kexec_load_disabled)"),
        ({"secure-boot": "1"}, "Secure Boot keeps it from starting another kernel (turn Secure Boot off"),
        ({"lockdown": "integrity"}, "Secure Boot keeps it from starting another kernel"),
        ({"container": "lxc"}, "it is a lxc container, which has no kernel of its own (a VM)"),
        (
            {"program.cpio": "n", "program.setsid": "n"},
            "it lacks cpio, setsid (install them there, for example apt-get",
        ),
        (
            {"disk./dev/sda": "missing", "present./dev/vda": str(30 * GIBI)},
            "no disk /dev/sda (it has /dev/sda (64 GiB)",
        ),
        ({"disk./dev/sda": "other"}, "/dev/sda is no disk"),
        ({"disk./dev/sda": str(8 * GIBI)}, "/dev/sda has 8 GiB, a system disk needs 20 GiB"),
        ({"own.192.168.1.10": ""}, "another machine has its address 192.168.1.10"),
        ({"answers.192.168.1.9": "ping"}, "somebody answers at the API address 192.168.1.9"),
        ({"neighbour.192.168.1.112": "00:11:22:33:44:55"}, "addresses of MetalLB's pool are taken: 192.168.1.112"),
        ({"own.192.168.1.113": "dynamic"}, "DHCP gave it 192.168.1.113, which is in MetalLB's pool"),
        ({"answers.192.168.1.1": ""}, "the gateway 192.168.1.1 does not answer (is network.gateway right?)"),
        ({"program.ping": "n", "answers.192.168.1.1": ""}, "whether its addresses are free cannot be seen"),
        ({"os": "FreeBSD"}, "it runs FreeBSD"),
    ],
)
def test_each_fact_that_speaks_against_it(changes: dict[str, str], expected: str) -> None:
    found = judged(**changes)
    assert len(found) == 1
    assert found[0].startswith("nerv-1: ")
    assert expected in found[0]


def test_firmware_clock_rights_and_network_card() -> None:
    assert judged(replace(WANTED, firmware="uefi")) == []
    assert "it booted with uefi, the definition says bios" in judged(replace(WANTED, firmware="bios"))[0]
    late = preflight.judge(WANTED, replace(GOOD, clock_offset=-400.0))
    assert "its clock is 7 min behind this machine's (set it" in str(late[0])
    nobody = preflight.judge(WANTED, replace(GOOD, elevate=None, user="admin"))
    assert "admin cannot become root (log in as root, or let admin use sudo without a password" in str(nobody[0])
    with_mac = replace(WANTED, node=NODE.model_copy(update={"mac": "52:54:00:00:00:01"}))
    assert judged(with_mac, **{"card.52:54:00:00:00:01": "eth0"}) == []
    assert (
        "no network card has the MAC address 52:54:00:00:00:01"
        in judged(with_mac, **{"card.aa:00:00:00:00:01": "eth0"})[0]
    )


def test_an_installer_needs_neither_kexec_nor_programs() -> None:
    assert judged(variant="nixos:installer", kexec="n", **{"program.cpio": "n"}) == []


def test_a_password_alone_is_enough_only_for_the_installer() -> None:
    alone = replace(WANTED, password_only=True)
    (said,) = judged(alone)
    assert said == (
        "nerv-1: a password does not survive kexec (add --identity KEY, or start the machine from the NixOS installer)"
    )
    assert judged(alone, variant="nixos:installer") == []


def test_who_joins_needs_a_cluster_that_answers_and_addresses_may_be_in_use() -> None:
    joining = replace(WANTED, first=False)
    assert judged(joining, api="pong", **{"answers.192.168.1.112": "ping", "answers.192.168.1.9": "ping"}) == []
    assert (
        "the cluster does not answer at 192.168.1.9:6443 (deploy the first server" in judged(joining, api="silent")[0]
    )
    assert joining.question().api == "192.168.1.9"
    assert joining.question().addresses == ("192.168.1.10",)


def test_everything_blocking_is_one_error_and_warnings_are_none() -> None:
    found = preflight.judge(WANTED, replace(GOOD, values={**GOOD.values, "architecture": "riscv64", "memory": "1024"}))
    error = preflight.PreflightError([*found, preflight.Finding("nerv-1", "only said", "nothing", blocking=False)])
    assert len(error.lines()) == 3
    assert error.lines()[-1] == "2 problems found; nothing was changed"


@pytest.fixture(scope="module")
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    with lan(tmp_path_factory.mktemp("lan")) as made:
        made.machine("nerv-1", "192.168.1.10", bound={"/proc/meminfo": "MemTotal:        1048576 kB\n"})
        made.machine("printer", "192.168.1.112")
        yield made


@needs_machines
def test_a_real_machine_is_asked_in_one_go(net: Lan) -> None:
    machine = net.machines["nerv-1"]
    device(machine, "/dev/sda", 64 * GIBI)
    machine.write("/sys/firmware/efi/fw_platform_size", "64\n")
    machine.write("/sys/kernel/kexec_loaded", "0\n")
    machine.write("/dev/not-a-disk", "")
    # a printer that answers no ping still answers ARP
    net.machines["printer"].shell("echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all")
    question = Question(
        ("/dev/sda", "/dev/sdb", "/dev/not-a-disk"),
        ("192.168.1.10", "192.168.1.111", "192.168.1.112"),
        "192.168.1.1",
        "192.168.1.1",
    )

    async def ask() -> Facts:
        target, key = Target("192.168.1.10"), HostKey.parse(machine.host_key())
        async with Remote(target, [key], Access(net.identity)) as remote:
            return await facts.gather(remote, question)

    found = net.run(ask)
    assert found.elevate == ""
    assert abs(found.clock_offset) < 5
    assert found.memory == GIBI
    assert found.below("disk") == {"/dev/sda": str(64 * GIBI), "/dev/sdb": "missing", "/dev/not-a-disk": "other"}
    assert found.below("own")["192.168.1.10"] == "static"
    assert set(found.below("answers")) == {"192.168.1.10", "192.168.1.1"}
    assert list(found.below("neighbour")) == ["192.168.1.112", "192.168.1.1"] or "192.168.1.112" in found.below(
        "neighbour"
    )
    assert "192.168.1.111" not in found.below("neighbour")
    assert (found.value("firmware"), found.value("kexec"), found.value("api")) == ("uefi", "y", "silent")
    assert found.has("tar")
    said = [str(finding) for finding in preflight.judge(WANTED, found)]
    assert any("1.0 GiB of RAM" in line for line in said)
    assert any("addresses of MetalLB's pool are taken: 192.168.1.112" in line for line in said)


def test_values_in_the_question_are_quoted() -> None:
    text = facts.script(Question(disks=("/dev/x'; touch /tmp/owned; '",)))
    assert text.splitlines()[0] == """disks='/dev/x'"'"'; touch /tmp/owned; '"'"''"""


def test_storage_disks_may_be_small() -> None:
    disks = (
        Disk.model_validate({"device": "/dev/sda"}),
        Disk.model_validate({"device": "/dev/sdb", "purpose": "storage"}),
    )
    wanted = replace(WANTED, node=NODE.model_copy(update={"disks": disks}))
    assert judged(wanted, **{"disk./dev/sdb": str(GIBI)}) == []
