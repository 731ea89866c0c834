"""What belongs to an object: down from a Kustomization over its inventory and the releases in it to the last pod.

Reading and drawing are apart: `read` gathers a `World`, `grow` makes the tree of it, purely.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import orjson

from nerv.kube import errors, inventory, kstatus, objects
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.kstatus import Level
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    SECRETS,
    STATEFUL_SETS,
    Resource,
    path,
)
from nerv.operations import collect, kinds
from nerv.operations.status import Item, PodItem

OWNED = (DEPLOYMENTS, DAEMON_SETS, STATEFUL_SETS, REPLICA_SETS, CRON_JOBS, JOBS, PODS)
"""What controllers make for other objects, and name them as owner."""
_AT_ONCE = 16
_METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"
_NO_STATUS = frozenset({"CustomResourceDefinition", "ConfigMap", "Secret"})
"""Large, or secret, and without a status that says more than that they exist: only their metadata is read."""


class Key(NamedTuple):
    """What makes an object this one; the version does not count."""

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Object) -> Key:
        """The key of an object."""
        group, _ = objects.split_api_version(objects.api_version(obj))
        return cls(group, objects.kind(obj), objects.namespace(obj), objects.name(obj))

    @property
    def shown(self) -> str:
        """`kind/namespace/name`, as every verb takes it."""
        return "/".join(filter(None, (self.kind.lower(), self.namespace, self.name)))


@dataclass(frozen=True)
class World:
    """What was read: objects, the parts of those that apply others, and who is owned by whom."""

    found: Mapping[Key, Object] = field(default_factory=dict)
    parts: Mapping[Key, tuple[Key, ...]] = field(default_factory=dict)
    owned: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    """by the owner's uid"""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """An object of the tree. `level` is kstatus' word: Current, InProgress, Failed, Terminating, NotFound."""

    kind: str
    namespace: str
    name: str
    level: str
    message: str = ""
    children: tuple[Node, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For `-o json|yaml`."""
        return asdict(self)

    def walk(self) -> Iterator[Node]:
        """The node and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def grow(root: Key, world: World) -> Node:
    """The tree below an object. An object that is met a second time is shown without what is below it."""
    return _grow(root, world, set())


def _grow(key: Key, world: World, seen: set[Key]) -> Node:
    obj = world.found.get(key)
    level, message = level_of(obj)
    if key in seen or obj is None:
        return Node(key.kind, key.namespace, key.name, level, message)
    seen.add(key)
    below = [*world.parts.get(key, ()), *(Key.of(each) for each in world.owned.get(objects.uid(obj), ()))]
    children = tuple(_grow(each, world, seen) for each in dict.fromkeys(below) if each != key)
    kept = tuple(child for child in children if not _past(child))
    return Node(key.kind, key.namespace, key.name, level, message, kept)


def _past(node: Node) -> bool:
    """Old ReplicaSets of a Deployment: they hold no pods and say nothing."""
    return node.kind == "ReplicaSet" and not node.children


def level_of(obj: Object | None) -> tuple[str, str]:
    """How far an object is, and why, in the words of whoever says it best."""
    if obj is None:
        return Level.NOT_FOUND.value, "not found"
    if objects.kind(obj) in _NO_STATUS:
        return Level.CURRENT.value, ""
    status = kstatus.compute(obj)
    if objects.kind(obj) == "Pod":
        return status.level.value, PodItem.from_object(obj).waits or status.message
    if "toolkit.fluxcd.io" in objects.api_version(obj):
        item = Item.from_object(obj)
        if item.suspended:
            return "Suspended", item.message
        return _FLUX_LEVELS[item.ready if obj.get("status") else "True"].value, item.message
    return status.level.value, "" if status.current else status.message


_FLUX_LEVELS = {"True": Level.CURRENT, "False": Level.FAILED, "Unknown": Level.IN_PROGRESS}


def by_owner(listed: Iterable[Object]) -> dict[str, tuple[Object, ...]]:
    """Objects by the uid of each owner, sorted by name."""
    found: dict[str, list[Object]] = defaultdict(list)
    for obj in sorted(listed, key=lambda each: (objects.kind(each), objects.key(each))):
        for owner in objects.metadata(obj).get("ownerReferences") or ():
            found[owner.get("uid", "")].append(obj)
    return {uid: tuple(each) for uid, each in found.items()}


async def read(client: Client, catalogue: Catalogue, root: Object) -> World:
    """Everything below `root`. What may not be read is told in `refused`."""
    reader = _Reader(client, catalogue)
    await reader.take(root)
    return await reader.world()


async def owned_by(client: Client, obj: Object) -> World:
    """What controllers made for `obj` in its namespace, whatever it is."""
    namespace = objects.namespace(obj) or None
    listed = await asyncio.gather(*(collect.read_list(client, resource, namespace) for resource in OWNED))
    made = [item for each in listed for item in each.items]
    refused = tuple(each.refused for each in listed if each.refused)
    return World({Key.of(each): each for each in [*made, obj]}, {}, by_owner(made), refused)


class _Reader:
    def __init__(self, client: Client, catalogue: Catalogue) -> None:
        self._client = client
        self._catalogue = catalogue
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._found: dict[Key, Object] = {}
        self._parts: dict[Key, tuple[Key, ...]] = {}
        self._refused: dict[str, None] = {}

    async def take(self, obj: Object) -> None:
        """An object and, where it applies others, these."""
        key = Key.of(obj)
        if key in self._found:
            return
        self._found[key] = obj
        parts = await self._parts_of(key, obj)
        if parts:
            self._parts[key] = tuple(parts)
            await asyncio.gather(*(self._take_key(part) for part in parts))

    async def _take_key(self, key: Key) -> None:
        resource = self._catalogue.of_kind(key.group, key.kind)
        if resource is None or key in self._found:
            return
        try:
            async with self._turns:
                obj = await _get(self._client, resource, key)
        except errors.NotFound:
            return
        except errors.Forbidden as error:
            self._refused[error.message] = None
            return
        await self.take(obj)

    async def _parts_of(self, key: Key, obj: Object) -> list[Key]:
        if (key.group, key.kind) == (kinds.KUSTOMIZE_GROUP, "Kustomization"):
            entries = inventory.read((obj.get("status") or {}).get("inventory"))
            return [Key(each.group, each.kind, each.namespace, each.name) for each in entries]
        if (key.group, key.kind) == (kinds.HELM_GROUP, "HelmRelease"):
            return await self._release_parts(obj)
        return []

    async def _release_parts(self, release: Object) -> list[Key]:
        """The objects of a release stand in Helm's own record of it alone."""
        status = release.get("status") or {}
        history = status.get("history") or []
        if not history:
            return []
        name, namespace = history[0]["name"], status.get("storageNamespace") or objects.namespace(release)
        try:
            listed = await self._client.list(SECRETS, namespace, label_selector=f"owner=helm,name={name}")
        except errors.Forbidden as error:
            self._refused[f"the objects of {Key.of(release).shown} are not known: {error.message}"] = None
            return []
        newest = max(listed.items, key=lambda each: int(objects.labels(each).get("version", "0")), default=None)
        return _manifest_keys(newest, history[0]["namespace"], self._catalogue) if newest else []

    async def world(self) -> World:
        """With all that controllers made in the namespaces that were met."""
        namespaces = sorted({key.namespace for key in self._found if key.namespace})
        reads = [collect.read_list(self._client, resource, space) for space in namespaces for resource in OWNED]
        listed = await asyncio.gather(*reads)
        for each in listed:
            if each.refused:
                self._refused[each.refused] = None
        made = [obj for each in listed for obj in each.items]
        found = {Key.of(obj): obj for obj in made} | self._found
        return World(found, self._parts, by_owner(made), tuple(self._refused))


async def _get(client: Client, resource: Resource, key: Key) -> Object:
    if key.kind not in _NO_STATUS:
        obj = await client.get(resource, key.name, key.namespace or None)
    else:
        answer = await client.raw("GET", path(resource, key.namespace or None, key.name), accept=_METADATA)
        obj = orjson.loads(answer.body)
        if answer.status >= 400:
            raise errors.from_status({"code": answer.status, **obj})
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}


def _manifest_keys(secret: Object, namespace: str, catalogue: Catalogue) -> list[Key]:
    """The objects in a release's manifest; those without a namespace are in the release's, if they can be."""
    from nerv import documents
    from nerv.builders.helm import releases  # all of Helm's reading: imported for releases alone

    found = []
    for obj in documents.load_all(releases.from_secret(secret).manifest):
        key = Key.of(obj)
        resource = catalogue.of_kind(key.group, key.kind)
        if resource and resource.namespaced and not key.namespace:
            key = key._replace(namespace=namespace)
        found.append(key)
    return found
