"""The Status of a platform kept current by informers: what the live view and the console draw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nerv.controllers.runtime import Informer, Informers
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations import collect
from nerv.operations.collect import Published
from nerv.operations.status import Status, platform_name


class StatusWatch:
    """Follows every list that the status is made of. `version` grows with each change."""

    def __init__(self, informers: Informers, engine: str = "", published: Callable[[], Published] = dict) -> None:
        self._informers = informers
        self._engine = engine
        self._published = published
        self._built: tuple[int, Status] | None = None
        self._changed = asyncio.Event()
        self.version = 0
        self._watched = {resource.kind: self.follow(resource) for resource in collect.WATCHED}

    def follow(self, resource: Resource) -> Informer:
        """One more resource whose changes make a new version."""
        informer = self._informers.of(resource)
        informer.on_change(self._tell)
        return informer

    def _tell(self, old: Object | None, new: Object | None) -> None:
        self.version += 1
        self.touch()

    def touch(self) -> None:
        """Something else that the status tells has changed."""
        self._changed.set()

    async def next(self) -> None:
        """Wait until something has changed since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def status(self) -> Status:
        """The status now, built once per version."""
        if self._built is None or self._built[0] != self.version:
            objects = {kind: informer.list() for kind, informer in self._watched.items()}
            name = platform_name(objects["Kustomization"])
            self._built = (
                self.version,
                Status.from_objects(name, self._engine, objects, published=self._published()),
            )
        return self._built[1]
