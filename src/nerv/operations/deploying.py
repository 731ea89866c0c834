"""Which steps bring one node of a platform onto a real machine, from its host key to healthy dashboards.

The steps are values (`nerv.deploy.steps`): `nerv deploy --dry-run` prints the same ones that it would run.
"""

from __future__ import annotations

import platform as host
import sys
from collections.abc import Sequence

from nerv.components.catalog import Platform
from nerv.deploy.ssh import Target
from nerv.deploy.steps import Record, Step, starting_at
from nerv.errors import NervError
from nerv.operations import installing, joining
from nerv.operations.deployment import Deploy
from nerv.operations.folder import PlatformFolder, write_private
from nerv.platform.models import Node


def steps(deploy: Deploy) -> tuple[Step, ...]:
    """Everything, in order."""
    return (*arrival(deploy), *joining.completion(deploy))


def arrival(deploy: Deploy) -> tuple[Step, ...]:
    """Until the node is part of the cluster."""
    return (*installing.steps(deploy), *joining.arrival(deploy))


def ordered(deploys: Sequence[Deploy], start: str = "") -> list[tuple[Deploy, tuple[Step, ...]]]:
    """Whose steps are run when: all machines arrive before Flux and health are waited for, since taints may leave Flux'
    pods no place but a later one. From the step `start` on; raises NervError for a name that is none of theirs.
    """
    wanted = {one.node.name: starting_at(steps(one), start) if start else steps(one) for one in deploys}
    stages = (arrival, joining.completion) if len(deploys) > 1 else (steps,)
    parts = [(one, stage(one)) for stage in stages for one in deploys]
    names = {node: {step.name for step in found} for node, found in wanted.items()}
    kept = [(one, tuple(step for step in found if step.name in names[one.node.name])) for one, found in parts]
    return [(one, found) for one, found in kept if found]


def chosen(platform: Platform, names: Sequence[str], everything: bool) -> list[Node]:
    """The nodes that are meant, servers first and in the definition's order. Raises NervError for unknown names."""
    nodes = {node.name: node for node in platform.spec.nodes}
    unknown = [name for name in names if name not in nodes]
    if unknown:
        raise NervError(f"the definition has no node {', '.join(unknown)}", f"it has {', '.join(nodes)}")
    if not names and not everything:
        raise NervError("no node is named", f"`nerv deploy {next(iter(nodes))}`, or --all")
    meant = [node for node in nodes.values() if everything or node.name in names]
    return sorted(meant, key=lambda node: node.role != "server")


def with_target(record: Record, target: Target) -> Record:
    """The record of this machine; one of another machine counts for nothing."""
    if record.target and record.target != str(target):
        record.target, record.host_key, record.finished = "", "", {}
    return record


def load_record(folder: PlatformFolder, node: str) -> Record:
    """What earlier runs have left. Raises NervError for a corrupt record."""
    path = folder.state / "deploy" / f"{node}.json"
    text = path.read_text(encoding="utf-8") if path.exists() else None
    return Record.load(text, lambda made: write_private(path, made))


def build_place(node: Node, wanted: str) -> str:
    """Where the system is built: `auto` is here for a machine like this one, else on the machine itself."""
    if wanted != "auto":
        return wanted
    same = sys.platform == "linux" and host.machine() == node.architecture
    return "local" if same else "remote"
