"""Every kind that the server has, builtin and custom, with an informer of its metadata: for what concerns all objects
alike, garbage collection and the end of namespaces.

Kinds come and go with their CustomResourceDefinitions. Events are left out: nothing owns them, and they are many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nerv.controllers.runtime import Informer, Informers
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import BUILTIN, CUSTOM_RESOURCE_DEFINITIONS, EVENTS, EVENTS_V1, Resource

Listener = Callable[[Resource, Object | None, Object | None], None]
_NEEDED = {"list", "watch", "delete"}
_Name = tuple[str, str]


class Inventory:
    """All objects of all kinds, by resource and by uid."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._watched: dict[_Name, tuple[Resource, Informer]] = {}
        self._by_uid: dict[str, tuple[Resource, Object]] = {}
        self._listeners: list[Listener] = []
        self._ending: set[asyncio.Task[None]] = set()
        for resource in BUILTIN:
            if set(resource.verbs) >= _NEEDED and resource not in (EVENTS, EVENTS_V1):
                self._watch(resource)
        informers.of(CUSTOM_RESOURCE_DEFINITIONS).on_change(self._definition_changed)

    def on_change(self, listener: Listener) -> None:
        """Call back with (resource, old, new) at every change of any object; first with all that is known."""
        self._listeners.append(listener)
        for resource, obj in [*self._by_uid.values()]:
            listener(resource, None, obj)

    def find(self, uid: str) -> tuple[Resource, Object] | None:
        """The object of a uid: its resource and its metadata."""
        return self._by_uid.get(uid)

    def namespaced(self) -> list[tuple[Resource, Informer]]:
        """All kinds that live in namespaces."""
        return [(resource, informer) for resource, informer in self._watched.values() if resource.namespaced]

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind in any of its versions, if the server has it."""
        group = objects.split_api_version(api_version)[0]
        found = (each for each, _ in self._watched.values() if each.group == group and each.kind == kind)
        return next(found, None)

    def _watch(self, resource: Resource) -> None:
        informer = self._informers.metadata(resource)
        self._watched[resource.group, resource.plural] = (resource, informer)
        informer.on_change(lambda old, new: self._changed(resource, old, new))

    def _changed(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._by_uid[objects.uid(new)] = (resource, new)
        elif old is not None:
            self._by_uid.pop(objects.uid(old), None)
        for listener in self._listeners:
            listener(resource, old, new)

    def _definition_changed(self, old: Object | None, new: Object | None) -> None:
        definition = new if new is not None else old
        if definition is None:
            return
        spec = definition["spec"]
        name = (spec["group"], spec["names"]["plural"])
        if new is None:
            if name in self._watched:
                resource, _ = self._watched.pop(name)
                ending = asyncio.create_task(self._informers.drop_metadata(resource))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
        elif name not in self._watched and objects.is_true(new, "Established"):
            self._watch(_custom(new))


def _custom(definition: Object) -> Resource:
    """The resource of a definition in the version it is stored in (or the first that is served)."""
    spec = definition["spec"]
    served = [each for each in spec["versions"] if each.get("served")]
    version = next((each for each in served if each.get("storage")), served[0] if served else spec["versions"][0])
    names = spec["names"]
    return Resource(spec["group"], version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced")
