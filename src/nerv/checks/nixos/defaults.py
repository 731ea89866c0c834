"""Defaults that are computed: those of options whose default follows from their name or from other options."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nerv.checks.nixos.packages import package
from nerv.nix.values import Set, force

Config = Callable[[], Set]


def computed(path: tuple[str, ...], config: Config) -> tuple[object] | None:
    """The default of an option, in a tuple of one; None where it is not known here."""
    for pattern, compute in _COMPUTED.items():
        names = pattern.split(".")
        if len(names) == len(path) and all(a in ("*", b) for a, b in zip(names, path, strict=True)):
            return (compute(path, config),)
    return None


def look_up(config: Config, *path: str) -> object:
    """The value at a path of the configuration; None where there is none."""
    value: object = config()
    for name in path:
        if not isinstance(value, Set) or name not in value:
            return None
        value = force(value[name])
    return value


def _own_name(path: tuple[str, ...], _config: Config) -> object:
    return path[-2]


def _secret_path(path: tuple[str, ...], config: Config) -> object:
    early = look_up(config, *path[:-1], "neededForUsers")
    return f"/run/secrets-for-users/{path[-2]}" if early else f"/run/secrets/{path[-2]}"


def _secret_file(_path: tuple[str, ...], config: Config) -> object:
    return look_up(config, "sops", "defaultSopsFile")


def _placeholders(_path: tuple[str, ...], config: Config) -> object:
    secrets = look_up(config, "sops", "secrets")
    names = secrets if isinstance(secrets, Set) else ()
    return Set({name: f"<SOPS:{name}:PLACEHOLDER>" for name in names})


def _host_keys(kind: str) -> Callable[[tuple[str, ...], Config], object]:
    def found(_path: tuple[str, ...], config: Config) -> object:
        keys = look_up(config, "services", "openssh", "hostKeys")
        listed = [force(key) for key in keys] if isinstance(keys, list) else []
        sets = [key for key in listed if isinstance(key, Set)]
        return [force(key["path"]) for key in sets if force(key.get("type")) == kind]

    return found


def _grub(_path: tuple[str, ...], config: Config) -> object:
    others = (("systemd-boot", "enable"), ("limine", "enable"), ("refind", "enable"), ("external", "enable"))
    generic = ("generic-extlinux-compatible", "enable")
    return not any(look_up(config, "boot", "loader", *other) is True for other in (*others, generic))


_ALL_FIRMWARE = ("hardware", "enableAllFirmware")


def _firewall(_path: tuple[str, ...], config: Config) -> object:
    return "nftables" if look_up(config, "networking", "nftables", "enable") is True else "iptables"


def _home(path: tuple[str, ...], config: Config) -> object:
    if path[-2] == "root":
        return "/root"
    return f"/home/{path[-2]}" if look_up(config, *path[:-1], "isNormalUser") else "/var/empty"


_COMPUTED: Mapping[str, Callable[[tuple[str, ...], Config], object]] = {
    "sops.secrets.*.path": _secret_path,
    "sops.secrets.*.name": _own_name,
    "sops.secrets.*.key": _own_name,
    "sops.secrets.*.sopsFile": _secret_file,
    "sops.templates.*.path": lambda path, _config: f"/run/secrets/rendered/{path[-2]}",
    "sops.templates.*.name": _own_name,
    "sops.placeholder": _placeholders,
    "sops.age.sshKeyPaths": _host_keys("ed25519"),
    "sops.gnupg.sshKeyPaths": _host_keys("rsa"),
    "services.openssh.hostKeys": lambda _path, _config: [
        Set({"type": "rsa", "bits": 4096, "path": "/etc/ssh/ssh_host_rsa_key"}),
        Set({"type": "ed25519", "path": "/etc/ssh/ssh_host_ed25519_key"}),
    ],
    "boot.loader.grub.enable": _grub,
    "environment.etc.*.target": _own_name,
    "users.users.*.name": _own_name,
    "users.users.*.home": _home,
    "users.groups.*.name": _own_name,
    "services.k3s.package": lambda _path, _config: package("k3s"),
    "boot.kernelPackages": lambda _path, _config: package("linuxPackages"),
    "boot.initrd.enable": lambda _path, _config: True,
    "hardware.enableRedistributableFirmware": lambda _path, config: look_up(config, *_ALL_FIRMWARE) is True,
    "networking.firewall.backend": _firewall,
    "networking.firewall.checkReversePath": lambda _path, _config: True,
    "security.pki.caBundle": lambda _path, _config: "/etc/ssl/certs/ca-certificates.crt",
    "services.logrotate.enable": lambda _path, _config: True,
    "services.timesyncd.enable": lambda _path, _config: True,
    "sops.useSystemdActivation": lambda _path, _config: False,
    "networking.hostName": lambda _path, _config: "nixos",
    "systemd.services.*.name": lambda path, _config: f"{path[-2]}.service",
}
