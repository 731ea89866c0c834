"""Partitions (disko) and boot loader. A disk's `content` is said in one place: its host's file."""

from __future__ import annotations

import re

from nerv.components.catalog import Platform
from nerv.nix.expressions import Binding
from nerv.platform.models import Disk, Node
from nerv.rendering.nixos.modules import option

# Kernels of ten generations, with room.
_BOOT_SIZE = "1G"
_GENERATIONS = 10


def of_host(platform: Platform, node: Node) -> list[Binding]:
    """Disks and boot loader of a machine."""
    made = {disk.purpose: _disk(platform, node, disk) for disk in node.disks}
    return [
        *_boot_loader(node),
        option("disko.devices.disk", made, "The installation erases everything on these disks."),
    ]


def data_mount(platform: Platform, node: Node) -> str | None:
    """The unit that mounts the machine's storage disk."""
    if all(disk.purpose != "storage" for disk in node.disks):
        return None
    path = platform.spec.components.longhorn.data_path.strip("/")
    # as systemd-escape does: slashes become dashes, dashes and a dot at the start are escaped
    escaped = re.sub(r"[^A-Za-z0-9:_./]|^\.", lambda found: f"\\x{ord(found[0]):02x}", re.sub("/+", "/", path))
    return escaped.replace("/", "-") + ".mount"


def _boot_loader(node: Node) -> list[Binding]:
    if node.firmware == "bios":
        # disko says which disk GRUB is written to
        grub = {"enable": True, "configurationLimit": _GENERATIONS}
        return [option("boot.loader.grub", grub, "BIOS; disko names the disk.")]
    loader = {"enable": True, "configurationLimit": _GENERATIONS, "editor": False}
    return [
        option("boot.loader.systemd-boot", loader, "UEFI; nobody boots into a root shell from the menu."),
        option("boot.loader.efi.canTouchEfiVariables", True),
    ]


def _disk(platform: Platform, node: Node, disk: Disk) -> dict[str, object]:
    if disk.purpose == "storage":
        # A machine whose data disk fails must still come up to be repaired; K3s waits for the mount (see the host).
        options = ["noatime", "nofail", "x-systemd.device-timeout=30s"]
        partitions = {"longhorn": _partition("100%", platform.spec.components.longhorn.data_path, options=options)}
    elif node.firmware == "bios":
        partitions = {"boot": {"size": "1M", "type": "EF02"}, "root": _partition("100%", "/")}
    else:
        boot = _partition(_BOOT_SIZE, "/boot", file_system="vfat", options=["umask=0077"])
        partitions = {"ESP": {"type": "EF00", **boot}, "root": _partition("100%", "/")}
    return {"type": "disk", "device": disk.device, "content": {"type": "gpt", "partitions": partitions}}


def _partition(
    size: str, mount: str, *, file_system: str = "ext4", options: list[str] | None = None
) -> dict[str, object]:
    content: dict[str, object] = {"type": "filesystem", "format": file_system, "mountpoint": mount}
    if options:
        content["mountOptions"] = options
    return {"size": size, "content": content}
