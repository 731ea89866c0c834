"""K3s: one server starts the cluster, every other machine knows where and with which token to join."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.checks.nixos.flake import FLAKE, Flake, Host
from nerv.checks.repository import Repository
from nerv.components.catalog import Platform
from nerv.errors import Problem

_K3S = "services.k3s"
_JOINING = ("enable", "role", "clusterInit", "serverAddr", "token", "tokenFile", "configPath")


def clusters(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Exactly one server starts the cluster; the others join it."""
    running = [host for host in flake.hosts if host.get(f"{_K3S}.enable") is True]
    known = all(host.known(*(f"{_K3S}.{option}" for option in _JOINING)) for host in running)
    if not known or any(host.get(f"{_K3S}.role") not in ("server", "agent") for host in running):
        return  # reported already; who would join whom cannot be said
    servers = [host for host in running if host.get(f"{_K3S}.role") == "server"]
    starting = [host for host in servers if host.get(f"{_K3S}.clusterInit") is True]
    for host in starting[1:]:
        said = (
            f"{_K3S}.clusterInit is set on {host.name}, and on {starting[0].name} already: they would be two clusters"
        )
        yield host.problem(f"{_K3S}.clusterInit", said, "set it on the first server alone")
    if servers and not starting:
        said = f"no server sets {_K3S}.clusterInit: the first would keep its data in SQLite, and none could join it"
        yield servers[0].problem(f"{_K3S}.role", said, f"set it on {servers[0].name}")
    if running and not servers:
        yield Problem(FLAKE, 0, 0, f'no host has {_K3S}.role = "server"', "one server must start the cluster")
    first = starting or servers[:1]
    for host in running:
        yield from _ignored(host)
        yield from _joining(host, starting=host in first)


def _joining(host: Host, *, starting: bool) -> Iterator[Problem]:
    agent = host.get(f"{_K3S}.role") == "agent"
    configured = host.get(f"{_K3S}.configPath") is not None
    address = host.get(f"{_K3S}.serverAddr", "")
    what = "agent" if agent else "server"
    if agent:
        for option in ("clusterInit", "disableAgent"):
            if host.get(f"{_K3S}.{option}") is True:
                yield host.problem(f"{_K3S}.{option}", f"{_K3S}.{option} is set on {host.name}, which is an agent")
    if not starting and not address and not configured:
        said = f"{host.name} is {'an' if agent else 'a'} {what} without {_K3S}.serverAddr: it joins no cluster"
        yield host.problem(f"{_K3S}.role", said, "the URL of the first server, https://ADDRESS:6443")
    if isinstance(address, str) and address and not address.startswith("https://"):
        yield host.problem(f"{_K3S}.serverAddr", f"{_K3S}.serverAddr `{address}` is no https:// URL")
    if not host.get(f"{_K3S}.token") and host.get(f"{_K3S}.tokenFile") is None and not configured:
        hint = f"set {_K3S}.tokenFile to the path of a secret"
        if agent:
            yield host.problem(f"{_K3S}.role", f"{host.name} is an agent without a token: it joins no cluster", hint)
        elif not starting:
            yield host.problem(f"{_K3S}.role", f"{host.name} joins without a token", hint)


def _ignored(host: Host) -> Iterator[Problem]:
    """What is set and does nothing."""
    if host.get(f"{_K3S}.role") == "agent":
        for option in ("manifests", "charts", "autoDeployCharts"):
            if host.members(f"{_K3S}.{option}"):
                said = f"{_K3S}.{option} has no effect on {host.name}: agents apply no manifests"
                yield host.problem(f"{_K3S}.{option}", said, "set it on a server")
    flags = host.get(f"{_K3S}.extraFlags")
    for flag in flags.split() if isinstance(flags, str) else host.items(f"{_K3S}.extraFlags"):
        if str(flag).startswith("--prefer-bundled-bin"):
            said = f"{_K3S}.extraFlags: --prefer-bundled-bin does not work with nixpkgs' K3s, which bundles no programs"
            yield host.problem(f"{_K3S}.extraFlags", said, "leave it out", value=flag)
