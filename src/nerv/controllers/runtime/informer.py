"""Informers: a local, always current copy of the objects of one resource, shared by all who watch it.

Objects are parsed once and shared: **never mutate them**, copy first. An informer lists, then watches; it survives
expired versions (410), servers that restart, and resources that do not exist yet, go away and come back (CRDs).

What a controller of ours has just written can be put in at once (`observe`, `forget`): the copy then reads its own
writes, so that no controller needs the "expectations" that client-go's do. Resource versions decide what is newer;
they are compared as numbers, as Kubernetes allows since 1.35 and etcd always had it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Sequence
from typing import Any, TypeAlias

from nerv.kube import errors, objects
from nerv.kube.client import Client, WatchEvent
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, Resource

_log = logging.getLogger(__name__)

Change = Callable[[Object | None, Object | None], None]
_Name = tuple[str, str]
_Objects: TypeAlias = list[Object]

_REMEMBERED = 1024
FIRST_DELAY = 0.05
LAST_DELAY = 1.0


class Informer:
    """The objects of one resource, in one namespace or all, that match the selectors."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        *,
        transform: Callable[[Object], Object] | None = None,
        appears: Callable[[], asyncio.Event] | None = None,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        """Set once the resource was listed; cleared while the server does not know the resource."""
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._transform = transform
        self._appears = appears
        self._objects: dict[str, dict[str, Object]] = {}
        self._tombstones: OrderedDict[str, None] = OrderedDict()
        self._callbacks: list[Change] = []
        self._indexes: dict[str, _Index] = {}

    def get(self, namespace: str | None, name: str) -> Object | None:
        """The object, or None. For cluster-wide kinds the namespace is None or ""."""
        return self._objects.get(namespace or "", {}).get(name)

    def list(self, namespace: str | None = None) -> _Objects:
        """All objects, or those of a namespace; the list is the caller's, the objects are shared."""
        if namespace is not None:
            return [*self._objects.get(namespace, {}).values()]
        return [obj for objects in self._objects.values() for obj in objects.values()]

    def add_index(self, name: str, values: Callable[[Object], Iterable[Hashable]]) -> None:
        """Keep objects findable by `values(obj)`; adding an index of the same name again changes nothing."""
        if name not in self._indexes:
            index = self._indexes[name] = _Index(values)
            for obj in self.list():
                index.add(_name(obj), obj)

    def indexed(self, name: str, value: Hashable) -> _Objects:
        """The objects that the index has under `value`. KeyError for an index never added."""
        return [*self._indexes[name].objects.get(value, {}).values()]

    def on_change(self, callback: Change) -> Callable[[], None]:
        """Call back with (old, new) at every change, None for "did not exist"/"is gone"; first with all that is here.

        Returns what ends the subscription.
        """
        self._callbacks.append(callback)
        for obj in self.list():
            callback(None, obj)
        return lambda: self._callbacks.remove(callback)

    def observe(self, obj: Object) -> None:
        """Take in an object that a write answered, before its watch event arrives.

        Older ones are ignored, and those known to be deleted: the answer to a write may arrive after the event.
        """
        if obj["metadata"].get("uid") in self._tombstones:
            return
        new = self._transform(obj) if self._transform else obj
        old = self.get(*_name(new))
        if old is not None and not _is_newer(new, old):
            return
        self._store(old, new)

    def forget(self, obj: Object) -> None:
        """Drop an object that a write of ours removed for good, before its watch event arrives."""
        old = self.get(*_name(obj))
        if old is not None and old["metadata"].get("uid") == obj["metadata"].get("uid"):
            self._bury(old)
            self._store(old, None)

    async def run(self) -> None:
        """List and watch until cancelled."""
        delay = FIRST_DELAY
        while True:
            try:
                await self._list_and_watch()
                delay = FIRST_DELAY
            except errors.Gone:
                continue
            except errors.NotFound:
                self._clear()
                delay = await self._until_it_appears(delay)
            except (errors.ApiError, OSError, TimeoutError) as error:
                _log.debug("informer of %s: %s, next try in %.2g s", self.resource.plural, error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_DELAY)

    async def _list_and_watch(self) -> None:
        listed = await self._client.list(
            self.resource, self._namespace, label_selector=self._label_selector, field_selector=self._field_selector
        )
        self._replace(listed.items, listed.resource_version)
        self.synced.set()
        version = listed.resource_version
        while True:
            before = version
            async with contextlib.aclosing(self._watch(version)) as events:
                async for event in events:
                    version = event.object["metadata"].get("resourceVersion", version)
                    if event.type == "DELETED":
                        self._deleted(event.object)
                    elif event.type != "BOOKMARK":
                        self.observe(event.object)
            if version == before:
                # a stream that ends without a word would make this a busy loop
                await asyncio.sleep(FIRST_DELAY)

    def _watch(self, version: str) -> AsyncGenerator[WatchEvent, None]:
        return self._client.watch(
            self.resource,
            self._namespace,
            resource_version=version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )

    async def _until_it_appears(self, delay: float) -> float:
        """Wait while the server does not know the resource. Returns the next delay."""
        if self._appears is None:
            await asyncio.sleep(delay)
            return min(delay * 2, LAST_DELAY)
        event = self._appears()
        if event.is_set():
            # its definition is there and established: the server will serve it any moment
            await asyncio.sleep(delay)
            return min(delay * 2, LAST_DELAY)
        await event.wait()
        return FIRST_DELAY

    def _replace(self, items: Sequence[Object], version: str) -> None:
        """Make the copy equal to a list of `version`, but for what was observed after it."""
        listed = set()
        for obj in items:
            listed.add(_name(obj))
            # the server's word counts; if the object went after the list, its watch event follows
            self._tombstones.pop(obj["metadata"].get("uid", ""), None)
        for obj in items:
            self.observe(obj)
        for obj in self.list():
            if _name(obj) not in listed and _number(obj) <= _as_number(version):
                self._store(obj, None)

    def _clear(self) -> None:
        self.synced.clear()
        self._tombstones.clear()
        for obj in self.list():
            self._store(obj, None)

    def _deleted(self, obj: Object) -> None:
        self._bury(obj)
        old = self.get(*_name(obj))
        if old is not None and old["metadata"].get("uid") == obj["metadata"].get("uid"):
            self._store(old, None)

    def _bury(self, obj: Object) -> None:
        """Remember for a while that the object is gone: uids never come back."""
        self._tombstones[obj["metadata"].get("uid", "")] = None
        if len(self._tombstones) > _REMEMBERED:
            self._tombstones.popitem(last=False)

    def _store(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            namespace, name = key = _name(new)
            self._objects.setdefault(namespace, {})[name] = new
            for index in self._indexes.values():
                index.remove(key)
                index.add(key, new)
        elif old is not None:
            namespace, name = key = _name(old)
            self._objects[namespace].pop(name, None)
            if not self._objects[namespace]:
                del self._objects[namespace]
            for index in self._indexes.values():
                index.remove(key)
        if old is not None and new is not None and old["metadata"].get("uid") != new["metadata"].get("uid"):
            # deleted and created again between two looks: watchers must see both
            self._tell(old, None)
            old = None
        self._tell(old, new)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        for callback in tuple(self._callbacks):
            callback(old, new)


class _Index:
    """Objects by a computed value."""

    def __init__(self, values: Callable[[Object], Iterable[Hashable]]) -> None:
        self.objects: dict[Hashable, dict[_Name, Object]] = {}
        self._values = values
        self._by_name: dict[_Name, tuple[Hashable, ...]] = {}

    def add(self, key: _Name, obj: Object) -> None:
        values = tuple(self._values(obj))
        if values:
            self._by_name[key] = values
        for value in values:
            self.objects.setdefault(value, {})[key] = obj

    def remove(self, key: _Name) -> None:
        for value in self._by_name.pop(key, ()):
            objects = self.objects[value]
            objects.pop(key, None)
            if not objects:
                del self.objects[value]


class Informers:
    """One informer for each resource and scope, started when first asked for and shared from then on.

    Must be used inside the running event loop. `stop` ends all of them.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[Any, ...], Informer] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._established: dict[tuple[str, str], asyncio.Event] = {}
        self._definitions: Informer | None = None

    def of(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> Informer:
        """The shared informer of whole objects."""
        return self._start(resource, namespace, label_selector, field_selector, None)

    def metadata(self, resource: Resource) -> Informer:
        """The shared informer of at least `apiVersion`, `kind` and `metadata`, in all namespaces: that of whole objects
        where it runs already, else one that keeps no more than these."""
        whole = self._informers.get((resource.group, resource.version, resource.plural, None, "", "", True))
        return whole or self._start(resource, None, "", "", _metadata_only)

    def find(self, resource: Resource) -> tuple[Informer, ...]:
        """The informers over all of a resource's objects that run now; none is started."""
        base = (resource.group, resource.version, resource.plural, None, "", "")
        running = (self._informers.get((*base, whole)) for whole in (True, False))
        return tuple(informer for informer in running if informer is not None)

    async def drop_metadata(self, resource: Resource) -> None:
        """End the metadata informer of a resource that is gone for good."""
        key = (resource.group, resource.version, resource.plural, None, "", "", False)
        if self._informers.pop(key, None):
            for task in [task for task in self._tasks if task.get_name() == _task_name(key)]:
                self._tasks.remove(task)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """End every informer and wait until they ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._informers.clear()

    def _start(
        self,
        resource: Resource,
        namespace: str | None,
        labels: str,
        fields: str,
        transform: Callable[[Object], Object] | None,
    ) -> Informer:
        key = (resource.group, resource.version, resource.plural, namespace, labels, fields, transform is None)
        informer = self._informers.get(key)
        if informer is None:
            informer = Informer(
                self._client,
                resource,
                namespace,
                labels,
                fields,
                transform=transform,
                appears=lambda: self._appears(resource),
            )
            self._informers[key] = informer
            task = asyncio.create_task(self._supervise(informer), name=_task_name(key))
            task.add_done_callback(_report)
            self._tasks.append(task)
        return informer

    async def _supervise(self, informer: Informer) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await informer.run()

    def _appears(self, resource: Resource) -> asyncio.Event:
        """The event that is set while the definition of a custom resource is established."""
        event = self._established.setdefault((resource.group, resource.plural), asyncio.Event())
        if self._definitions is None:
            self._definitions = self.of(CUSTOM_RESOURCE_DEFINITIONS)
            self._definitions.on_change(self._definition_changed)
        return event

    def _definition_changed(self, old: Object | None, new: Object | None) -> None:
        definition = new if new is not None else old
        if definition is None:
            return
        spec = definition["spec"]
        event = self._established.setdefault((spec["group"], spec["names"]["plural"]), asyncio.Event())
        if new is not None and is_established(new):
            event.set()
        else:
            event.clear()


def _report(task: asyncio.Task[None]) -> None:
    """A subscriber that raises ends its informer: a defect that must not go unseen."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("%s ended", task.get_name(), exc_info=error)


def _task_name(key: tuple[Any, ...]) -> str:
    return f"informer-{'-'.join(str(part) for part in key)}"


def _metadata_only(obj: Object) -> Object:
    kept = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {"apiVersion": obj.get("apiVersion", ""), "kind": obj.get("kind", ""), "metadata": kept}


def is_established(definition: Object) -> bool:
    """Whether the server serves the kind."""
    # kube-apiserver writes `conditions: null` into a new one
    return objects.is_true(definition, "Established")


def _name(obj: Object) -> _Name:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _as_number(version: str) -> int:
    return int(version) if version.isdigit() else 0


def _number(obj: Object) -> int:
    return _as_number(obj["metadata"].get("resourceVersion", ""))


def _is_newer(new: Object, old: Object) -> bool:
    if new["metadata"].get("uid") != old["metadata"].get("uid"):
        return _number(new) >= _number(old)
    return _number(new) > _number(old) or not _number(new)
