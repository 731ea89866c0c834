"""Automatic updates, where the definition wants them: the newest packages of the release, one machine after another.

The machine rebuilds itself from the very flake it was deployed with, so no credential of the repository is needed;
only nixpkgs is taken newer than flake.lock says, until the next `nerv deploy`.
"""

from __future__ import annotations

from nerv.components.catalog import Platform
from nerv.nix.expressions import Binding, Template, call, name
from nerv.platform import versions
from nerv.platform.models import Node
from nerv.rendering.nixos.flake import NIXPKGS
from nerv.rendering.nixos.modules import FOLDER, option

_FIRST = 2 * 60
"""Minutes after midnight."""
_APART = 30
_NIGHT = 5 * 60


def of_host(platform: Platform, node: Node) -> list[Binding]:
    """When and how this machine updates itself."""
    wanted = platform.spec.nixos.automatic_updates
    if wanted == "off":
        return []
    nodes = platform.spec.nodes
    minutes = _FIRST + min(_APART, _NIGHT // len(nodes)) * nodes.index(node)
    newest = f"github:{versions.NIXPKGS.owner}/{versions.NIXPKGS.repository}/nixos-{platform.spec.nixos.version}"
    repository = call(name("dirOf"), name("inputs.self.outPath"))
    return [
        option(
            "system.autoUpgrade",
            {
                "enable": True,
                "flake": Template(("path:", repository, f"?dir={FOLDER}#{node.name}")),
                "flags": ["--override-input", NIXPKGS, newest, "--no-write-lock-file"],
                "dates": f"{minutes // 60:02}:{minutes % 60:02}",
                "allowReboot": wanted == "packages-and-kernel",
            },
            "Every machine at a time of its own.",
        )
    ]
