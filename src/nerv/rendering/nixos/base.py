"""modules/base.nix: what every machine is, whatever it runs. Access is by SSH keys alone."""

from __future__ import annotations

from nerv.components.catalog import Platform
from nerv.nix.expressions import Binding
from nerv.rendering.nixos.modules import lines, module, option

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

_KERNEL = {
    "kernel.dmesg_restrict": 1,
    "kernel.kptr_restrict": 2,
    "kernel.unprivileged_bpf_disabled": 1,
    "net.ipv4.conf.all.accept_redirects": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv6.conf.all.accept_redirects": 0,
}

_JOURNAL = "SystemMaxUse=1G\nSystemKeepFree=2G\nMaxRetentionSec=1month\n"


def text(platform: Platform) -> str:
    """The module."""
    return module("What every machine is, whatever it runs.", _options(platform))


def _options(platform: Platform) -> list[Binding]:
    nixos = platform.spec.nixos
    return [
        option(
            "system.stateVersion",
            nixos.state_version,
            "The release that the machines were first installed with; it never changes.",
        ),
        option("time.timeZone", nixos.time_zone),
        option("i18n.defaultLocale", nixos.locale),
        option("services.timesyncd.enable", True, "Certificates and etcd need the right time."),
        option("networking.hosts", _hosts(platform), "The machines know each other by name."),
        *_access(platform),
        option("boot.kernel.sysctl", _KERNEL),
        option("hardware.enableAllHardware", True, "Drivers of whatever the machine turns out to be."),
        option("hardware.enableRedistributableFirmware", True),
        option("services.fstrim.enable", True),
        option("boot.tmp.cleanOnBoot", True),
        option("services.journald.extraConfig", lines(_JOURNAL)),
        option("nix.settings.experimental-features", ["nix-command", "flakes"]),
        option("nix.gc", {"automatic": True, "dates": "weekly", "options": "--delete-older-than 30d"}),
        option("documentation.enable", False),
    ]


def _hosts(platform: Platform) -> dict[str, list[str]]:
    return {str(node.address): [node.name] for node in platform.spec.nodes}


def _access(platform: Platform) -> list[Binding]:
    sshd = {
        "enable": True,
        # sops-nix derives the machine's age key from each key listed here, so it is this one alone
        "hostKeys": [{"type": "ed25519", "path": HOST_KEY}],
        "settings": {
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": False,
            "KbdInteractiveAuthentication": False,
            "X11Forwarding": False,
        },
    }
    return [
        option(
            "services.openssh", sshd, "SSH keys only. The host key was made before the machine and opens its secrets."
        ),
        option("users.mutableUsers", False, "No password opens an account."),
        option(
            "users.users.root",
            {"hashedPassword": "!", "openssh": {"authorizedKeys": {"keys": platform.spec.nixos.ssh_keys}}},
        ),
        option("security.sudo.enable", False),
    ]
