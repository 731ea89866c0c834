"""hosts/<node>.nix: all that is one machine's own."""

from __future__ import annotations

from nerv.components.catalog import Platform
from nerv.nix.expressions import Binding
from nerv.platform.models import Node
from nerv.rendering.nixos import availability, disks, kubernetes, network, updates
from nerv.rendering.nixos.modules import imports, module, option


def text(platform: Platform, node: Node, components: tuple[str, ...]) -> str:
    """The machine; `components` are the names of modules in modules/components."""
    return module(
        f"{node.name}: {node.role}, {node.architecture}, {node.firmware.upper()}",
        [
            imports(_modules(platform, node, components)),
            option("nixpkgs.hostPlatform", f"{node.architecture}-linux"),
            *_microcode(node),
            *network.of_host(platform, node),
            *disks.of_host(platform, node),
            *kubernetes.of_host(platform, node),
            *availability.of_host(platform, node),
            *updates.of_host(platform, node),
        ],
    )


def _modules(platform: Platform, node: Node, components: tuple[str, ...]) -> tuple[str, ...]:
    names = ["base", "network", "k3s", f"k3s-{node.role}", f"secrets-{node.role}s"]
    if node.role == "server" and platform.spec.network.api_address:
        names.append("high-availability")
    if node is platform.spec.servers[0]:
        names.append("flux-bootstrap")
    return tuple(f"../modules/{name}.nix" for name in (*names, *(f"components/{found}" for found in components)))


def _microcode(node: Node) -> list[Binding]:
    if node.architecture != "x86_64":
        return []
    return [option(f"hardware.cpu.{maker}.updateMicrocode", True) for maker in ("amd", "intel")]
