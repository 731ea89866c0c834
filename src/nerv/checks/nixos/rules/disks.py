"""Disks and booting: every disk says what becomes of it, and the machine starts from one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nerv.checks.nixos.flake import Flake, Host, forced
from nerv.checks.repository import Repository
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.nix.values import Set, force

_DISKS = "disko.devices.disk"
_GRUB = "boot.loader.grub"
_OTHERS = ("limine", "refind", "external", "generic-extlinux-compatible", "generationsDir", "initScript")


@dataclass(frozen=True)
class Partition:
    """A partition of a disk of disko."""

    type: object
    mount: object


def declared(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Disks without contents, contents without a type, and devices that two disks share."""
    for host in flake.hosts:
        devices: dict[object, str] = {}
        for name in host.members(_DISKS):
            path = f"{_DISKS}.{name}"
            content = host.get(f"{path}.content")
            if not host.known(f"{path}.content"):
                continue
            if not isinstance(content, Set):
                hint = "partition it, or leave it out"
                yield host.problem(path, f"{path} has no content: nothing would be made of it", hint)
            elif _untyped(content):
                yield host.problem(path, f"{path}: a content in it has no type, which disko refuses", 'such as "gpt"')
            device = host.get(f"{path}.device")
            if device in devices:
                said = f"{path}.device is {device}, as is that of {devices[device]}: one would erase the other"
                yield host.problem(f"{path}.device", said)
            elif device:
                devices[device] = f"{_DISKS}.{name}"


def booting(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Machines that would not start."""
    for host in flake.hosts:
        if not host.known("disko.devices", *(f"{_DISKS}.{disk}.content" for disk in host.members(_DISKS))):
            continue
        partitions = list(_partitions(host))
        if not any(part.mount == "/" for part in partitions) and "/" not in host.members("fileSystems"):
            said = f"{host.name} has no root file system"
            yield host.problem(_DISKS, said, 'a partition of disko with mountpoint = "/", or fileSystems."/"')
        yield from _loader(host, partitions)


def _loader(host: Host, partitions: list[Partition]) -> Iterator[Problem]:
    bios = any(part.type == "EF02" for part in partitions)
    grub = host.get(f"{_GRUB}.enable") is True
    named = next(
        (o for o in ("device", "devices") if host.get(f"{_GRUB}.{o}") not in (None, "", "nodev", [], ["nodev"])), ""
    )
    efi = host.get("boot.loader.systemd-boot.enable") is True or (grub and host.get(f"{_GRUB}.efiSupport") is True)
    if grub and bios and named:
        said = f"{_GRUB}.{named} stands beside a partition of type EF02, for which disko sets {_GRUB}.devices itself"
        yield host.problem(f"{_GRUB}.{named}", said, "leave it out: GRUB would be installed twice")
    if efi:
        yield from _system_partition(host, partitions)
    elif grub and not bios and not named:
        said = f"{host.name} has a boot loader (GRUB) but no disk to put it on"
        yield host.problem(
            f"{_GRUB}.enable", said, "a partition of type EF02 (BIOS), or boot.loader.systemd-boot (UEFI)"
        )
    elif not grub and not any(host.get(f"boot.loader.{other}.enable") is True for other in _OTHERS):
        yield host.problem(
            f"{_GRUB}.enable", f"{host.name} has no boot loader", "boot.loader.systemd-boot.enable = true"
        )


def _system_partition(host: Host, partitions: list[Partition]) -> Iterator[Problem]:
    mount = host.get("boot.loader.efi.efiSysMountPoint", "/boot")
    if mount in host.members("fileSystems"):
        return
    where = "boot.loader.systemd-boot.enable"
    if not any(part.type == "EF00" for part in partitions):
        hint = "add a partition of type EF00 with a vfat file system"
        yield host.problem(where, f"{host.name} starts by UEFI but has no EFI system partition", hint)
    elif not any(part.type == "EF00" and part.mount == mount for part in partitions):
        said = f"the EFI system partition of {host.name} is not mounted at {mount}, where the boot loader is put"
        yield host.problem(where, said, f'set mountpoint = "{mount}"')


def _partitions(host: Host) -> Iterator[Partition]:
    for disk in host.members(_DISKS):
        content = host.get(f"{_DISKS}.{disk}.content")
        yield from _inside(content)


def _inside(content: object) -> Iterator[Partition]:
    """Partitions, file systems and volumes in a content of disko; nested ones (LUKS, LVM) too."""
    if not isinstance(content, Set):
        return
    partitions = _value(content, "partitions")
    for part in forced(list(partitions.values())) if isinstance(partitions, Set) else []:
        if isinstance(part, Set):
            inner = _value(part, "content")
            yield Partition(_value(part, "type"), _value(inner, "mountpoint"))
            yield from _inside(inner)
    if "partitions" not in content and "content" in content:
        inner = _value(content, "content")
        yield Partition(None, _value(inner, "mountpoint"))
        yield from _inside(inner)


def _untyped(content: Set) -> bool:
    """Whether a content, or one inside it, does not say what it is."""
    partitions = _value(content, "partitions")
    parts = forced(list(partitions.values())) if isinstance(partitions, Set) else []
    inner = [_value(part, "content") for part in (*parts, content)]
    return not _value(content, "type") or any(_untyped(part) for part in inner if isinstance(part, Set))


def _value(values: object, name: str) -> object:
    if not isinstance(values, Mapping) or name not in values:
        return None
    return next(iter(forced([values[name]])), None)


def initiators(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """iSCSI initiators (Longhorn's volumes) without a name, or with one that another host has."""
    seen: dict[object, str] = {}
    for host in flake.hosts:
        if host.get("services.openiscsi.enable") is not True or not host.known("services.openiscsi.name"):
            continue
        name = host.get("services.openiscsi.name")
        if not name:
            said = f"services.openiscsi has no name on {host.name}: iscsid does not start"
            yield host.problem("services.openiscsi.enable", said, "set services.openiscsi.name")
        elif name in seen:
            said = f"services.openiscsi.name is `{name}` on {host.name} as on {seen[name]}: volumes would be confused"
            yield host.problem("services.openiscsi.name", said, "make it unique, with networking.hostName in it")
        seen[name] = host.name


def shared_address(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Scripts that keepalived is to run and nobody defines."""
    for host in flake.hosts:
        scripts = host.members("services.keepalived.vrrpScripts")
        for instance in host.members("services.keepalived.vrrpInstances"):
            path = f"services.keepalived.vrrpInstances.{instance}.trackScripts"
            for script in host.items(path):
                if force(script) not in scripts:
                    yield host.problem(path, f"{path} names `{script}`, which services.keepalived.vrrpScripts lacks")
