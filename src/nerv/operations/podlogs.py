"""What pods have written: the pods of any object, and their lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from nerv.errors import NervError
from nerv.kube import objects
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.operations import tree
from nerv.operations.tree import Key

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True)
class Wanted:
    """Which lines. `container` empty: the pod's default one; `tail` -1: all."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    tail: int = -1
    since_seconds: int = 0
    timestamps: bool = False

    def query(self, pod: Object) -> dict[str, str]:
        """The parameters of a pod's subresource `log`."""
        query = {"container": self.container or container_of(pod)}
        query |= {"follow": "true"} if self.follow else {}
        query |= {"previous": "true"} if self.previous else {}
        query |= {"timestamps": "true"} if self.timestamps else {}
        query |= {"tailLines": str(self.tail)} if self.tail >= 0 else {}
        query |= {"sinceSeconds": str(self.since_seconds)} if self.since_seconds else {}
        return query


def container_of(pod: Object) -> str:
    """The container that is meant where none is named, as with kubectl."""
    return objects.annotations(pod).get(DEFAULT_CONTAINER) or str(pod["spec"]["containers"][0]["name"])


async def pods_of(client: Client, catalogue: Catalogue, obj: Object) -> list[Object]:
    """The pod itself, or every pod below the object. Raises NervError when there is none."""
    if objects.kind(obj) == "Pod":
        return [obj]
    if Key.of(obj).kind in ("Kustomization", "HelmRelease"):
        world = await tree.read(client, catalogue, obj)
    else:
        world = await tree.owned_by(client, obj)
    grown = tree.grow(Key.of(obj), world)
    found = [world.found[Key("", "Pod", node.namespace, node.name)] for node in grown.walk() if node.kind == "Pod"]
    if not found:
        raise NervError(f"{Key.of(obj).shown} has no pods", f"`nerv tree {Key.of(obj).shown}` shows what it has")
    return found


async def lines(client: Client, pod: Object, wanted: Wanted) -> AsyncIterator[str]:
    """The lines of one pod. Raises ApiError: a container that has not started yet has none."""
    stream = client.log(objects.name(pod), objects.namespace(pod), wanted.query(pod))
    async with aclosing(stream) as found:
        async for line in found:
            yield line.decode("utf-8", "replace")


async def show(client: Client, pods: list[Object], wanted: Wanted, write: Callable[[str], None]) -> list[str]:
    """Write the lines of all pods, each headed by its pod's name where there are several; pod after pod, or as they
    come when they are followed. Returns what could not be read, one line each."""
    refused: list[str] = []

    async def one(pod: Object) -> None:
        head = f"[{objects.key(pod)}] " if len(pods) > 1 else ""
        try:
            async for line in lines(client, pod, wanted):
                write(f"{head}{line}")
        except NervError as error:
            refused.append(f"{objects.key(pod)}: {error.message}")

    if wanted.follow:
        await asyncio.gather(*(one(pod) for pod in pods))
    else:
        for pod in pods:
            await one(pod)
    return refused
