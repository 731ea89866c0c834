"""Everything that speaks against installing a machine, found before anything is changed, each with its remedy.

Pure: facts of a machine against the node that the definition wants it to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from typing_extensions import override

from nerv.deploy.facts import Facts, Question
from nerv.errors import NervError
from nerv.platform.models import Node
from nerv.platform.types import AddressRange

GIBI = 1 << 30
MIN_MEMORY = 1536 << 20
"""nixos-anywhere's own limit: the installer lives in memory. K3s alone asks for less."""
# what the kernel reports is less than what is built in: firmware and kernel keep some for themselves
_MEMORY_ALLOWANCE = 0.93
MIN_DISK = 20 * GIBI
"""The NixOS system with K3s takes about 6 GiB, images of the platform 8 GiB; below that kubelet evicts pods for disk
pressure (15 % free) soon after the first update."""
MAX_CLOCK_OFFSET = 90.0
_PROBED_AT_MOST = 256


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against it. `blocking` ones end the deploy, others are said."""

    subject: str
    message: str
    remedy: str
    blocking: bool = True

    @override
    def __str__(self) -> str:
        return f"{self.subject}: {self.message} ({self.remedy})"


class PreflightError(NervError):
    """Everything that blocks, at once."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(finding for finding in findings if finding.blocking)
        count = len(self.findings)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} found; nothing was changed")

    @override
    def lines(self) -> list[str]:
        return [*(str(finding) for finding in self.findings), self.message]


@dataclass(frozen=True)
class Wanted:
    """A node and what of the platform its installation touches."""

    node: Node
    gateway: IPv4Address
    api_address: IPv4Address
    """where the cluster's API server answers; the first server's own address where there is no virtual one"""
    pool: tuple[AddressRange, ...]
    """MetalLB's addresses"""
    first: bool
    """whether this node starts the cluster; others need it to answer"""
    firmware: str = ""
    """uefi or bios where the definition says it"""
    password_only: bool = False
    """a password is all that there is to log in with"""

    def question(self) -> Question:
        """What to ask of the machine."""
        addresses = [self.node.address]
        if self.first:
            addresses += [self.api_address, *_some(self.pool)]
        unique = tuple(str(address) for address in dict.fromkeys(addresses))
        api = "" if self.first else str(self.api_address)
        return Question(tuple(disk.device for disk in self.node.disks), unique, str(self.gateway), api)


def _some(pool: Sequence[AddressRange]) -> list[IPv4Address]:
    found: list[IPv4Address] = []
    for part in pool:
        count = min(int(part.last) - int(part.first) + 1, _PROBED_AT_MOST - len(found))
        found += [part.first + step for step in range(count)]
    return found


def judge(wanted: Wanted, facts: Facts) -> list[Finding]:
    """Everything at once, in the order of CHECKS."""
    return [finding for check in CHECKS for finding in check(wanted, facts)]


def _rights(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    if facts.elevate is None:
        remedy = f"log in as root, or let {facts.user} use sudo without a password (NOPASSWD)"
        yield Finding(wanted.node.name, f"{facts.user} cannot become root", remedy)
    if facts.value("os") != "Linux":
        yield Finding(wanted.node.name, f"it runs {facts.value('os')}", "boot any Linux or the NixOS installer")


def _architecture(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    found, node = facts.value("architecture"), wanted.node
    if found != node.architecture:
        remedy = f"`architecture: {found}` in the definition" if found in ("x86_64", "aarch64") else "another machine"
        yield Finding(node.name, f"the machine is {found}, the definition says {node.architecture}", remedy)


def _memory(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    if 0 < facts.memory < MIN_MEMORY * _MEMORY_ALLOWANCE:
        found = f"{facts.memory / GIBI:.1f} GiB of RAM"
        yield Finding(wanted.node.name, f"{found}, the installer needs 1.5 GiB", "give the machine more memory")


def _firmware(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    found = facts.value("firmware")
    if wanted.firmware and found != wanted.firmware:
        remedy = f"`firmware: {found}` in the definition, or change the boot mode in the machine's setup"
        yield Finding(wanted.node.name, f"it booted with {found}, the definition says {wanted.firmware}", remedy)


def _disks(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    sizes = facts.below("disk")
    present = ", ".join(f"{name} ({int(size) / GIBI:.0f} GiB)" for name, size in facts.below("present").items())
    for disk in wanted.node.disks:
        found = sizes.get(disk.device, "missing")
        if found == "missing":
            remedy = f"it has {present}" if present else "see `lsblk` on the machine"
            yield Finding(wanted.node.name, f"there is no disk {disk.device}", remedy)
        elif found == "other":
            yield Finding(wanted.node.name, f"{disk.device} is no disk", "name a whole disk, see `lsblk`")
        elif disk.purpose == "system" and 0 < int(found) < MIN_DISK:
            said = f"{disk.device} has {int(found) / GIBI:.0f} GiB, a system disk needs {MIN_DISK // GIBI} GiB"
            yield Finding(wanted.node.name, said, "another disk or a larger one")


def _kexec(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    if facts.installer:
        return
    name, way_out = wanted.node.name, "boot the NixOS installer from a stick and deploy to it: no kexec is needed then"
    if facts.value("container") not in ("", "none"):
        yield Finding(name, f"it is a {facts.value('container')} container, which has no kernel of its own", "a VM")
    elif facts.value("secure-boot") == "1" or facts.value("lockdown") in ("integrity", "confidentiality"):
        yield Finding(name, "Secure Boot keeps it from starting another kernel", "turn Secure Boot off in its setup")
    elif facts.value("kexec") != "y":
        yield Finding(name, "its kernel has no kexec", way_out)
    elif facts.value("kexec-disabled") not in ("", "0"):
        yield Finding(name, "kexec is switched off (kernel.kexec_load_disabled)", f"restart it without, or {way_out}")


def _login(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    """kexec takes along authorized_keys, not /etc/shadow: nobody could log in to the installer."""
    if wanted.password_only and not facts.installer:
        remedy = "add --identity KEY, or start the machine from the NixOS installer"
        yield Finding(wanted.node.name, "a password does not survive kexec", remedy)


def _programs(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    missing = [program for program in ("tar", "cpio", "setsid") if not facts.has(program)]
    if missing and not facts.installer:
        remedy = f"install them there, for example apt-get install {' '.join(_packages(missing))}"
        yield Finding(wanted.node.name, f"it lacks {', '.join(missing)}", remedy)


def _packages(programs: Sequence[str]) -> list[str]:
    return [{"setsid": "util-linux"}.get(program, program) for program in programs]


def _clock(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    offset = facts.clock_offset
    if abs(offset) > MAX_CLOCK_OFFSET:
        said = f"its clock is {_span(abs(offset))} {'ahead of' if offset > 0 else 'behind'} this machine's"
        yield Finding(wanted.node.name, said, "set it (`date -s`, NTP) and its hardware clock (`hwclock -w`)")


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else "hours"


def _card(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    mac, cards = wanted.node.mac, facts.below("card")
    if mac and cards and mac not in cards:
        found = ", ".join(address for address in cards if address != "00:00:00:00:00:00")
        yield Finding(wanted.node.name, f"no network card has the MAC address {mac}", f"it has {found}")


def _addresses(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    own, answers = facts.below("own"), {**facts.below("neighbour"), **facts.below("answers")}
    if not facts.has("ping"):
        remedy = "install iputils-ping there, or make sure of it yourself"
        yield Finding(wanted.node.name, "whether its addresses are free cannot be seen", remedy, blocking=False)
    node = str(wanted.node.address)
    if node in answers and node not in own:
        yield Finding(wanted.node.name, f"another machine has its address {node}", "free it, or choose another one")
    api = str(wanted.api_address)
    if wanted.first and api != node and (api in answers or api in own):
        remedy = "choose a free address for network.apiAddress"
        yield Finding(wanted.node.name, f"somebody answers at the API address {api}", remedy)
    if str(wanted.gateway) not in answers and facts.has("ping"):
        remedy = "is network.gateway right?"
        yield Finding(wanted.node.name, f"the gateway {wanted.gateway} does not answer", remedy, blocking=False)


def _pool(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    answers, own = {**facts.below("neighbour"), **facts.below("answers")}, facts.below("own")
    if wanted.first:
        taken = [address for address in answers if _within(address, wanted.pool) and address not in own]
        if taken:
            said = f"addresses of MetalLB's pool are taken: {', '.join(sorted(taken, key=IPv4Address))}"
            yield Finding(wanted.node.name, said, "choose another pool, or free them")
    for address, kind in own.items():
        if kind == "dynamic" and _within(address, wanted.pool):
            said = f"DHCP gave it {address}, which is in MetalLB's pool"
            yield Finding(wanted.node.name, said, "shrink the router's DHCP range, or choose another pool")


def _within(address: str, pool: Sequence[AddressRange]) -> bool:
    return any(IPv4Address(address) in part for part in pool)


def _cluster(wanted: Wanted, facts: Facts) -> Iterator[Finding]:
    if wanted.first or not facts.value("api"):
        return
    if facts.value("api") != "pong":
        remedy = "deploy the first server before; its firewall must let TCP 6443 through"
        yield Finding(wanted.node.name, f"the cluster does not answer at {wanted.api_address}:6443", remedy)


CHECKS: tuple[Callable[[Wanted, Facts], Iterator[Finding]], ...] = (
    _rights,
    _architecture,
    _memory,
    _firmware,
    _disks,
    _kexec,
    _login,
    _programs,
    _clock,
    _card,
    _addresses,
    _pool,
    _cluster,
)
