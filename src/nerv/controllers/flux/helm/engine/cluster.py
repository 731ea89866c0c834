"""The cluster as Helm's actions see it: who they write as, what kinds it serves, and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson

from nerv.builders.helm import Capabilities, sdk
from nerv.builders.helm.manifests import Manifest, read
from nerv.controllers.runtime import Clock, Informers, Writer
from nerv.errors import NervError
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

MANAGER = "helm-controller"
T = TypeVar("T")

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class ActionError(NervError):
    """An action of Helm failed; the message is Helm's."""


@dataclass(frozen=True)
class Item:
    """One object of a release and the resource that serves it; `object` has its namespace."""

    resource: Resource
    object: Object

    @property
    def name(self) -> str:
        """The object's name."""
        return objects.name(self.object)

    @property
    def namespace(self) -> str | None:
        """The object's namespace, or None where its kind has none."""
        return objects.namespace(self.object) or None

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.resource.kind

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes it the same object in another version of the release."""
        return self.resource.group, self.resource.kind, self.namespace or "", self.name


@dataclass(frozen=True)
class Cluster:
    """`client` writes as helm-controller, or as the service account that a HelmRelease names."""

    client: Client
    informers: Informers
    clock: Clock

    @property
    def writer(self) -> Writer:
        """Writes that the shared informers see at once: waiting must not read a state from before them."""
        return Writer(self.client, self.informers)

    async def items(self, manifests: Iterable[Manifest], namespace: str) -> list[Item]:
        """The objects of manifests, lists flattened, in `namespace` unless they name another. Raises ActionError."""
        found = []
        for manifest in manifests:
            for obj in _flat(manifest.object):
                found.append(await self.item(obj, namespace))
        return found

    async def item(self, obj: Object, namespace: str) -> Item:
        """One object with the resource that serves it. Raises ActionError when the kind is unknown."""
        try:
            resource = await self.client.resource_for(objects.api_version(obj), objects.kind(obj))
        except errors.NoMatch as error:
            place = f'name: "{objects.name(obj)}" namespace: "{objects.namespace(obj)}" from ""'
            raise ActionError(
                f"resource mapping not found for {place}: {error.message}\nensure CRDs are installed first"
            ) from None
        metadata = dict(obj.get("metadata") or {})
        if not resource.namespaced:
            metadata.pop("namespace", None)
        elif not metadata.get("namespace"):
            metadata["namespace"] = namespace
        return Item(resource, {**obj, "metadata": metadata})

    async def items_of_text(self, text: str, namespace: str) -> list[Item]:
        """The objects of a stored manifest or a hook."""
        return await self.items(await parse(text), namespace)

    async def capabilities(self) -> Capabilities:
        """Version and API versions of the server as it is now."""
        version = orjson.loads((await self.client.raw("GET", "/version")).body)["gitVersion"]
        found: list[str] = []
        for path in ("/api", "/apis"):
            groups = orjson.loads((await self.client.raw("GET", path, accept=_DISCOVERY)).body)
            for group in groups["items"]:
                name = (group.get("metadata") or {}).get("name", "")
                for each in group["versions"]:
                    api_version = objects.join_api_version(name, each["version"])
                    kinds = {(part.get("responseKind") or {}).get("kind", "") for part in each.get("resources") or ()}
                    found += [api_version, *(f"{api_version}/{kind}" for kind in sorted(kinds - {""}))]
        return Capabilities(version, tuple(found))

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """What `work` gives, unless `seconds` of the clock pass before. Raises TimeoutError."""
        task = asyncio.ensure_future(work)
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = not task.done()
            task.cancel()

        timer = self.clock.call_later(seconds, expire)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if expired and not (current and current.cancelling()):
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
            task.cancel()


async def parse(text: str) -> list[Manifest]:
    """The manifests of a text."""
    return await sdk.call(lambda: read(text))


def _flat(obj: Object) -> Sequence[Object]:
    if objects.kind(obj).endswith("List") and isinstance(obj.get("items"), list):
        items: list[Object] = obj["items"]
        return items
    return (obj,)


def multi_error(messages: Sequence[str]) -> ActionError:
    """Several failures of one step, in the form in which Helm lists them."""
    lines = "\n\t".join(f"* {message}" for message in messages)
    count = "1 error" if len(messages) == 1 else f"{len(messages)} errors"
    return ActionError(f"{count} occurred:\n\t{lines}\n\n")
