"""Public facts that rendering needs and no definition says: who can read secrets, and by which key a node is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nerv.builders.sops import ssh
from nerv.platform.models import BasePlatform, Node


@dataclass(frozen=True)
class PublicKeys:
    """The public halves of the keys in the operator's folder."""

    operator: str
    """age recipient of the operator"""
    flux: str
    """age recipient of Flux"""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """SSH host key by node: `ssh-ed25519 AAAA... nerv-1`. A node without one is left out wherever keys matter."""

    def recipient(self, node: str) -> str | None:
        """age recipient of a node. Raises SopsError for a host key that is not ed25519."""
        line = self.hosts.get(node)
        return None if line is None else ssh.recipient(line)

    def known_hosts(self, platform: BasePlatform) -> str:
        """Lines for SSH's known_hosts: each node under its address and its name."""
        return "".join(
            _known_host(node, self.hosts[node.name]) for node in platform.spec.nodes if node.name in self.hosts
        )


def _known_host(node: Node, line: str) -> str:
    kind, key = line.split(" ")[:2]
    return f"{node.address},{node.name} {kind} {key}\n"
