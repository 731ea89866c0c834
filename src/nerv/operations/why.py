"""Why something is not ready: one chain from the symptom to its cause, with a way out. Pure but `read`.

Each object that is in trouble says what it waits for (`causes.py`); the chain follows that until something waits for
nobody. That is the cause. Many symptoms have one cause: `causes` groups them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nerv.kube import inventory, objects
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, NODES, PERSISTENT_VOLUME_CLAIMS, SERVICES, Resource
from nerv.operations import causes, collect, kinds, tree
from nerv.operations.causes import Facts
from nerv.operations.events import Event, select
from nerv.operations.tree import Key

READ: tuple[Resource, ...] = (
    *kinds.SOURCES,
    kinds.KUSTOMIZATIONS,
    kinds.HELM_RELEASES,
    kinds.CERTIFICATES,
    kinds.CERTIFICATE_REQUESTS,
    kinds.ISSUERS,
    kinds.CLUSTER_ISSUERS,
    NODES,
    SERVICES,
    PERSISTENT_VOLUME_CLAIMS,
    *tree.OWNED,
    EVENTS,
)
SYMPTOMS = (
    "Node",
    "GitRepository",
    "OCIRepository",
    "Bucket",
    "HelmRepository",
    "HelmChart",
    "Kustomization",
    "HelmRelease",
    "Certificate",
    "PersistentVolumeClaim",
    "Service",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "Pod",
)
"""Kinds that are asked when no object is named."""


@dataclass(frozen=True)
class Link:
    """One object of the chain, and what it says."""

    object: str
    says: str


@dataclass(frozen=True)
class Finding:
    """From the symptom (first) to the cause (last)."""

    chain: tuple[Link, ...]
    remedy: str
    held: tuple[str, ...] = field(default=())
    """other objects that the same cause holds back"""

    @property
    def cause(self) -> Link:
        return self.chain[-1]

    def to_dict(self) -> dict[str, Any]:
        """For `-o json|yaml`."""
        return {
            "cause": vars(self.cause),
            "remedy": self.remedy,
            "chain": [vars(link) for link in self.chain],
            "held": list(self.held),
        }


def explain(key: Key, facts: Facts) -> Finding | None:
    """The chain that begins at an object; None when nothing is wrong with it."""
    obj = facts.find(key)
    if obj is not None and not causes.trouble(obj, facts):
        return None
    chain: list[Link] = []
    seen: list[Key] = []
    while True:
        if key in seen:
            circle = " -> ".join(each.shown for each in (*seen[seen.index(key) :], key))
            return Finding(tuple(chain), f"they wait for each other: {circle}; take one dependsOn out")
        seen.append(key)
        obj = facts.find(key)
        if obj is None:
            chain.append(Link(key.shown, "does not exist"))
            return Finding(tuple(chain), causes.absent(key))
        chain.append(Link(key.shown, causes.trouble(obj, facts) or "is not what the others wait for yet"))
        step = causes.step(obj, facts)
        if isinstance(step, str):
            return Finding(tuple(chain), step)
        key = step


def findings(facts: Facts) -> list[Finding]:
    """Every cause once, with its longest chain and all that it holds back; those that hold most first."""
    by_cause: dict[str, list[Finding]] = defaultdict(list)
    for key, obj in facts.objects.items():
        if key.kind in SYMPTOMS and causes.trouble(obj, facts):
            found = explain(key, facts)
            if found:
                by_cause[found.cause.object].append(found)
    merged = [_merge(each) for each in by_cause.values()]
    return sorted(merged, key=lambda each: (-len(each.held), each.cause.object))


def _merge(found: list[Finding]) -> Finding:
    longest = max(found, key=lambda each: len(each.chain))
    shown = {link.object for link in longest.chain}
    others = sorted({link.object for each in found for link in each.chain} - shown)
    return Finding(longest.chain, longest.remedy, tuple(others))


def facts_of(lists: Iterable[Object]) -> Facts:
    """Facts of everything that was read, events among them."""
    everything = list(lists)
    found = [obj for obj in everything if objects.kind(obj) != "Event"]
    events = [obj for obj in everything if objects.kind(obj) == "Event"]
    warnings: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in select(events, warnings=True):
        warnings[event.subject].append(event)
    return Facts(
        {Key.of(obj): obj for obj in found},
        tree.by_owner(found),
        {subject: tuple(each) for subject, each in warnings.items()},
        _released(found),
    )


def _released(found: Iterable[Object]) -> Mapping[Key, tuple[Key, ...]]:
    """The workloads of each release, by the labels that Flux puts on them."""
    parts: dict[Key, list[Key]] = defaultdict(list)
    for obj in found:
        labels = objects.labels(obj)
        name, space = labels.get(f"{kinds.HELM_GROUP}/name"), labels.get(f"{kinds.HELM_GROUP}/namespace")
        if name and space:
            parts[Key(kinds.HELM_GROUP, "HelmRelease", space, name)].append(Key.of(obj))
        if objects.kind(obj) == "Kustomization":
            entries = inventory.read((obj.get("status") or {}).get("inventory"))
            parts[Key.of(obj)] += [Key(each.group, each.kind, each.namespace, each.name) for each in entries]
    return {key: tuple(each) for key, each in parts.items()}


async def read(client: Client, catalogue: Catalogue) -> tuple[Facts, tuple[str, ...]]:
    """The facts of a cluster, and what could not be read."""
    served = [catalogue.of_kind(each.group, each.kind) for each in READ]
    listed = await asyncio.gather(*(collect.read_list(client, each) for each in served if each))
    refused = tuple(each.refused for each in listed if each.refused)
    return facts_of(obj for each in listed for obj in each.items), refused
