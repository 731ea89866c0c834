"""Nobody locks himself out: SSH runs, its port is open, and somebody has a key."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.checks.nixos.flake import Flake, Host
from nerv.checks.repository import Repository
from nerv.components.catalog import Platform
from nerv.errors import Problem

_SSH = "services.openssh"
_PASSWORDS = ("password", "hashedPassword", "hashedPasswordFile", "initialPassword", "initialHashedPassword")
_LOCKED = (None, "", "!", "*")


def lockout(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Hosts that could not be reached, or entered, once they are installed."""
    closed = []
    for host in flake.hosts:
        if not host.known(f"{_SSH}.enable"):
            continue
        if host.get(f"{_SSH}.enable") is not True:
            said = f"{_SSH}.enable is not set: {host.name} could not be reached once it is installed"
            yield host.problem(f"{_SSH}.enable", said)
            continue
        yield from _port(host)
        if host.known("users.users") and not any(_may_enter(host, name) for name in host.members("users.users")):
            closed.append(host)
    if closed:
        names = ", ".join(host.name for host in closed)
        said = f"nobody could log in to {names}: no user has an authorized key or a password for SSH"
        hint = "add your public key to spec.nixos.sshKeys in nerv.yaml before `nerv deploy`"
        yield closed[0].problem("users.users", said, hint, "undeployable")


def _port(host: Host) -> Iterator[Problem]:
    if host.get("networking.firewall.enable", True) is not True or host.get(f"{_SSH}.openFirewall", True) is True:
        return
    ports = host.items(f"{_SSH}.ports") or [22]
    open_ports = set(map(str, host.items("networking.firewall.allowedTCPPorts")))
    for interface in host.members("networking.firewall.interfaces"):
        open_ports |= set(map(str, host.items(f"networking.firewall.interfaces.{interface}.allowedTCPPorts")))
    rules = f"{host.get('networking.firewall.extraCommands', '')} {host.get('networking.firewall.extraInputRules', '')}"
    trusted = host.items("networking.firewall.trustedInterfaces")
    if not open_ports & set(map(str, ports)) and not trusted and not any(str(port) in rules for port in ports):
        said = f"the firewall of {host.name} closes SSH's port {ports[0]}"
        hint = f"leave {_SSH}.openFirewall as it is, or add the port to networking.firewall.allowedTCPPorts"
        yield host.problem(f"{_SSH}.openFirewall", said, hint)


def _may_enter(host: Host, name: str) -> bool:
    user = f"users.users.{name}"
    root_login = host.get(f"{_SSH}.settings.PermitRootLogin", "prohibit-password")
    if name == "root" and root_login == "no":
        return False
    keys = [f"{user}.openssh.authorizedKeys.{option}" for option in ("keys", "keyFiles")]
    if any(host.get(option) or not host.known(option) for option in keys):
        return True  # where it cannot be evaluated, a note says so already
    by_password = host.get(f"{_SSH}.settings.PasswordAuthentication", True) is not False
    has_password = any(host.get(f"{user}.{option}") not in _LOCKED for option in _PASSWORDS)
    return by_password and has_password and (name != "root" or root_login == "yes")
