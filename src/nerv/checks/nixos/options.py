"""The table of NixOS's options (of nixpkgs, disko and sops-nix), and options that modules declare themselves.

A node is a group, {"c": {name: node}}, or an option, {"o": {"t": type, "d": default, "D": whether it has one}}; an
option of a module has its default as a value of Nix, in "v", and may have "apply" and "file".
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator
from importlib import resources
from typing import Any, TypeAlias, cast

from nerv import documents
from nerv.checks.nixos.types import Type
from nerv.nix.values import Set, force

Node: TypeAlias = dict[str, Any]


@functools.cache
def table() -> Node:
    """The options of NixOS 25.05, disko and sops-nix, as far as they are known (see data/README.md)."""
    folder = resources.files("nerv.checks.nixos") / "data"
    read = (documents.load_json((folder / name).read_text(encoding="utf-8")) for name in ("options.json", "more.json"))
    return functools.reduce(joined, cast("Iterator[Node]", read))


def declared(options: object, file: str) -> Node:
    """The options that a module declares, as a node."""
    values = force(options)
    if not isinstance(values, Set):
        return {"c": {}}
    if force(values.get("_type")) != "option":
        return {"c": {name: declared(value, file) for name, value in values.items()}}
    made: Node = {"t": type_of(values.get("type")), "file": file}
    if "default" in values:
        made["v"] = values["default"]
    if "apply" in values:
        made["apply"] = values["apply"]
    return {"o": made}


def type_of(value: object) -> Type:
    """The type that a value of `lib.types` stands for."""
    value = force(value)
    if isinstance(value, Set) and isinstance(value.get(TYPE), list):
        return cast(Type, value[TYPE])
    return ["any"]


TYPE = "nerv:type"
"""The name in a type's set that holds it: no name that a module could write."""


def joined(left: Node, right: Node) -> Node:
    """Options of both; where both say something of one option, the right one does."""
    if "o" in left or "o" in right:
        return {**left, **right}
    mine, other = left.get("c", {}), right.get("c", {})
    return {"c": {**mine, **{n: joined(mine[n], node) if n in mine else node for n, node in other.items()}}}


# Groups that the table holds in part only: other modules of NixOS declare options in them too.
PARTIAL = frozenset(
    (
        *("", "boot", "boot.initrd", "boot.initrd.systemd", "boot.kernel", "environment", "hardware", "hardware.cpu"),
        *("networking", "networking.networkmanager", "programs", "security", "security.pki", "services", "system"),
        *("systemd", "users", "virtualisation", "virtualisation.vmVariant"),
    )
)
# Names in those groups that exist and look much like names of the table: no slip of the pen.
_EXIST = frozenset(
    (
        *("boot.kernelPatches", "boot.kernelPatches", "boot.extraModprobeConfig", "boot.extraSystemdUnitPaths"),
        *("boot.blacklistedKernelModules", "boot.consoleLogLevel", "boot.devShmSize", "boot.runSize"),
        *("boot.postBootCommands", "boot.enableContainers", "boot.hardwareScan", "boot.specialFileSystems"),
        *("boot.initrd.kernelPatches", "boot.initrd.network.flushBeforeStage2", "boot.initrd.preDeviceCommands"),
        *("environment.systemPath", "environment.shells", "environment.shellAliases", "environment.extraInit"),
        *("networking.wlanInterfaces", "networking.interfaceMonitor", "networking.macvlans", "networking.resolvconf"),
        *("networking.hostFiles", "networking.vswitches", "networking.fqdn", "networking.fqdnOrHostName"),
        *("networking.nat", "networking.ucarp", "networking.wireguard", "networking.wireless", "networking.dhcpcd"),
        *(
            "networking.localCommands",
            "networking.enableIPv6",
            "networking.proxy",
            "networking.usePredictableInterfaceNames",
        ),
        *(
            "systemd.package",
            "systemd.packages",
            "systemd.slices",
            "systemd.automounts",
            "systemd.user",
            "systemd.units",
        ),
        *("systemd.globalEnvironment", "systemd.sleep", "systemd.coredump", "systemd.oomd", "systemd.watchdog"),
        *(
            "users.extraUsers",
            "users.extraGroups",
            "users.motd",
            "users.enforceIdUniqueness",
            "users.ldap",
            "users.mysql",
        ),
        *("security.sudo-rs", "security.pam", "security.audit", "security.doas", "security.wrappers", "security.acme"),
        *("services.rsyncd", "services.resilio", "services.nfs", "services.openssh", "programs.gnupg", "programs.zsh"),
        *(
            "virtualisation.containers",
            "virtualisation.docker",
            "virtualisation.podman",
            "services.fstab",
            "system.stateVersion",
            "system.build",
            "system.activationScripts",
            "system.name",
        ),
    )
)
# Names at the top that NixOS has beside those of the table.
_TOP = frozenset(
    (
        *(
            "appstream",
            "assertions",
            "containers",
            "docker-containers",
            "ec2",
            "fonts",
            "gtk",
            "ids",
            "image",
            "isoImage",
        ),
        *(
            "jobs",
            "krb5",
            "lib",
            "location",
            "meta",
            "oci",
            "openstack",
            "passthru",
            "proxmox",
            "qt",
            "snapraid",
            "sound",
        ),
        *("specialisation", "stubby", "warnings", "xdg"),
    )
)


# Options that a later release brings, and what to do until then.
LATER = {
    "boot.loader.refind": "NixOS 25.11 brings it",
    "systemd.settings": "NixOS 25.11 brings it; until then systemd.extraConfig",
    **{
        f"services.k3s.{name}": "NixOS 25.11 brings it; until then services.k3s.extraFlags"
        for name in ("nodeName", "nodeLabel", "nodeTaint", "nodeIP", "agentToken", "agentTokenFile", "selinux")
    },
}


def known_elsewhere(path: tuple[str, ...], group: Node) -> bool:
    """Whether an option that is not in `group` may exist all the same, in a part of NixOS that the table lacks."""
    if ".".join(path) in LATER:
        return False
    if path[:2] == ("disko", "devices") and len(path) > 3:
        return not close(path[-1], group, 0.8)  # what disks may hold is known in outline only
    return _beyond(path, group)


def outside(path: tuple[str, ...]) -> bool:
    """Whether something may be in a group, or under a name, that neither the table nor a module here says."""
    dotted = [".".join(path[:length]) for length in range(len(path) + 1)]
    return dotted[-1] in PARTIAL or not FILLED.isdisjoint(dotted) or (bool(path) and _beyond(path, {}))


def _beyond(path: tuple[str, ...], group: Node) -> bool:
    """Whether the way to an option leaves the table at a group that it holds in part."""
    node, above = table(), ""
    for number, name in enumerate(path):
        kids = node.get("c", {})
        if name not in kids:
            if above not in PARTIAL:
                return False
            if not above:
                return name in _TOP
            beside = node if number < len(path) - 1 else {"c": {**kids, **group.get("c", {})}}
            return f"{above}.{name}" in _EXIST or not close(name, beside, 0.82)
        node, above = kids[name], f"{above}.{name}".lstrip(".")
    return False


# Options to which modules of NixOS itself add names, so that a name which nobody here sets may be there.
FILLED = frozenset(
    (
        *("boot.kernel.sysctl", "environment.etc", "environment.variables", "environment.sessionVariables"),
        *("fileSystems", "networking.interfaces", "nix.registry", "nix.settings", "programs.ssh.knownHosts"),
        *("services.logrotate.settings", "services.openssh.settings", "systemd.mounts", "systemd.network.networks"),
        *("systemd.paths", "systemd.services", "systemd.sockets", "systemd.targets", "systemd.timers", "users.groups"),
        *("systemd.tmpfiles.settings", "users.users"),
    )
)


def hint(path: tuple[str, ...], group: Node) -> str:
    """What may be meant by an option that does not exist."""
    later = LATER.get(".".join(path))
    near = close(path[-1], group)
    if later:
        return later
    return f"did you mean {'.'.join((*path[:-1], near))}?" if near else ""


def close(name: str, group: Node, cutoff: float = 0.6) -> str:
    """The name in a group that is most like another, if one is."""
    names = list(group.get("c", {}))
    same = next((known for known in names if known.lower() == name.lower()), "")
    return same or next(iter(difflib.get_close_matches(name, names, 1, cutoff)), "")
