"""Every file of the flake, in one readable list."""

from __future__ import annotations

from pathlib import PurePosixPath

from nerv.components.catalog import Platform
from nerv.rendering.folders import Tree
from nerv.rendering.nixos import availability, base, bootstrap, components, flake, hosts, kubernetes, network, secrets
from nerv.rendering.nixos.modules import FOLDER, module


def files(platform: Platform) -> Tree:
    """nixos/, apart from keys and encrypted files."""
    asked = components.files(platform)
    names = tuple(PurePosixPath(path).stem for path in asked)
    modules = {
        "base": base.text(platform),
        "network": module("Static addresses by systemd-networkd, and a firewall.", network.shared()),
        "k3s": kubernetes.common(platform),
        "k3s-server": kubernetes.server(platform),
        "secrets-servers": secrets.text("server"),
        "flux-bootstrap": bootstrap.text(platform),
    }
    if any(node.role == "agent" for node in platform.spec.nodes):
        modules |= {"k3s-agent": kubernetes.agent(platform), "secrets-agents": secrets.text("agent")}
    if platform.spec.network.api_address:
        modules["high-availability"] = availability.text()
    return {
        f"{FOLDER}/flake.nix": flake.text(platform),
        f"{FOLDER}/flake.lock": flake.lock(),
        **{f"{FOLDER}/hosts/{node.name}.nix": hosts.text(platform, node, names) for node in platform.spec.nodes},
        **{f"{FOLDER}/modules/{name}.nix": text for name, text in modules.items()},
        bootstrap.SCRIPT: bootstrap.script(),
        **asked,
    }
