"""What Kubernetes asks of version changes, as pure rules: one minor at a time, servers before agents, never back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nerv.errors import NervError
from nerv.kube.objects import Object

_SERVER = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True)
class Member:
    """A node of a running cluster."""

    name: str
    server: bool
    ready: bool
    version: str
    """of its kubelet, such as v1.31.9+k3s1"""

    @classmethod
    def from_object(cls, node: Object) -> Member:
        status = node.get("status", {})
        conditions = status.get("conditions") or ()
        return cls(
            node["metadata"]["name"],
            _SERVER in (node["metadata"].get("labels") or {}),
            any(one["type"] == "Ready" and one["status"] == "True" for one in conditions),
            status.get("nodeInfo", {}).get("kubeletVersion", ""),
        )

    @property
    def minor(self) -> int:
        return minor(self.version)


def minor(version: str) -> int:
    """31 of v1.31.9+k3s1; 0 where it is not known."""
    found = re.match(r"v?1\.(\d+)", version)
    return int(found[1]) if found else 0


def check_step(now: str, wanted: str) -> None:
    """A change of the definition's Kubernetes minor. Raises NervError for a skip or a way back."""
    step = minor(wanted) - minor(now)
    if step < 0:
        raise NervError(
            f"Kubernetes cannot go back from {now} to {wanted}",
            "restore an etcd snapshot that was taken before the upgrade",
        )
    if step > 1:
        raise NervError(
            f"Kubernetes {wanted} is {step} minor versions after {now}: one at a time",
            f"upgrade to v1.{minor(now) + 1} first, update every node, then go on",
        )


def check_order(members: Sequence[Member], updating: Sequence[str], wanted: str) -> None:
    """Updating these nodes, in this order, to the minor `wanted`. Raises NervError for what Kubernetes forbids."""
    versions = {member.name: member.minor for member in members if member.minor}
    servers = {member.name for member in members if member.server}
    target = minor(wanted)
    for name in updating:
        if name not in versions:
            continue
        if target - versions[name] > 1:
            raise NervError(
                f"{name} runs v1.{versions[name]}, the definition says {wanted}: one minor version at a time",
                f"set kubernetes.version to v1.{versions[name] + 1}, render, commit, and update every node first",
            )
        if target < versions[name]:
            raise NervError(
                f"{name} runs v1.{versions[name]}, the definition says {wanted}: a node never goes back",
                f"set kubernetes.version to v1.{versions[name]}",
            )
        behind = sorted(other for other in servers if versions.get(other, target) < target)
        if name not in servers and behind:
            raise NervError(
                f"{name} would be newer than the server {behind[0]}, which runs v1.{versions[behind[0]]}",
                f"servers first: `nerv deploy --update {' '.join(behind)}`, or --all",
            )
        versions[name] = target


def ordered(members: Sequence[Member], names: Sequence[str]) -> list[str]:
    """Servers first, each in the order given."""
    servers = {member.name for member in members if member.server}
    return sorted(names, key=lambda name: name not in servers)
