"""The flake's hosts are the machines of nerv.yaml, and every module in the repository is one of somebody."""

from __future__ import annotations

from collections.abc import Iterator

from nerv.checks.nixos.flake import FLAKE, FOLDER, Flake, Host
from nerv.checks.repository import Repository
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.nix.values import EvaluationError, Set, force
from nerv.platform.models import Node


def defined(platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """Nodes without a host, and hosts that are not what their node says."""
    hosts = {host.name: host for host in flake.hosts}
    for node in platform.spec.nodes:
        host = hosts.get(node.name)
        if host is None:
            if flake.hosts:
                yield Problem(FLAKE, 0, 0, f"no host `{node.name}` in nixosConfigurations, but nerv.yaml has that node")
            continue
        if not host.known("networking.hostName", "nixpkgs.hostPlatform", "system.stateVersion"):
            continue
        yield from _as_defined(host, node)
        version = host.get("system.stateVersion")
        if version is None:
            said = f"system.stateVersion is not set on {host.name}"
            yield host.problem("system.stateVersion", said, "the release the machine was first installed with")
        elif version != platform.spec.nixos.state_version:
            said = (
                f"system.stateVersion is {version}, but spec.nixos.stateVersion is {platform.spec.nixos.state_version}"
            )
            hint = "it is the release that the machines were first installed with, and never changes"
            yield host.problem("system.stateVersion", said, hint)


def _as_defined(host: Host, node: Node) -> Iterator[Problem]:
    name = host.get("networking.hostName")
    if name != node.name:
        said = f"networking.hostName of {host.name} is `{name}`"
        yield host.problem("networking.hostName", said, f"it must be {node.name}, the name of the node")
    system = f"{node.architecture}-linux"
    wanted = host.get("nixpkgs.hostPlatform")
    wanted = force(wanted.get("system")) if isinstance(wanted, Set) else wanted
    if wanted is None and not host.get("nixpkgs.system"):
        yield host.problem("nixpkgs.hostPlatform", f"nixpkgs.hostPlatform is not set on {host.name}", f'"{system}"')
    elif isinstance(wanted, str) and wanted != system:
        said = f"nixpkgs.hostPlatform is {wanted}, but nerv.yaml says that {node.name} is {node.architecture}"
        yield host.problem("nixpkgs.hostPlatform", said)


def unused(_platform: Platform, flake: Flake, repository: Repository) -> Iterator[Problem]:
    """Modules that no host imports: what they say has no effect."""
    if not flake.hosts:
        return
    for path in repository.files:
        if path.startswith(f"{FOLDER}/") and path.endswith(".nix") and path not in flake.read:
            hint = "import it in the host's file or in one of its modules, or move it elsewhere"
            yield Problem(path, 0, 0, "no host imports this module, so what it says has no effect", hint)


def assertions(_platform: Platform, flake: Flake, _repository: Repository) -> Iterator[Problem]:
    """What modules of the repository assert and warn of."""
    for host in flake.hosts:
        for entry in host.items("assertions"):
            try:
                holds = not isinstance(entry, Set) or force(entry.get("assertion", True)) is True
                said = "" if holds or not isinstance(entry, Set) else str(force(entry.get("message", "")))
            except EvaluationError:
                continue
            if not holds:
                yield host.problem("assertions", f"an assertion of {host.name} does not hold: {said}")
        for warning in host.items("warnings"):
            yield host.problem("warnings", f"warning of {host.name}: {warning}", severity="note")
