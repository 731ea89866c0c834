"""What this room and node/ ask of informers. The informers themselves live in controllers/runtime and are handed in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from nerv.kube.objects import Object
from nerv.kube.resources import Resource

Change = Callable[[Object | None, Object | None], None]


class Informer(Protocol):
    """A current copy of the objects of one resource. They are shared: never mutate them."""

    synced: asyncio.Event

    def get(self, namespace: str | None, name: str) -> Object | None:
        """The object, or None."""
        ...

    def list(self, namespace: str | None = None) -> list[Object]:
        """All objects, or those of a namespace."""
        ...

    def on_change(self, callback: Change) -> Callable[[], None]:
        """Call back with (old, new); first with all that is here. Returns what ends the subscription."""
        ...

    def observe(self, obj: Object) -> None:
        """Take in what a write answered."""
        ...


class Informers(Protocol):
    """Informers by resource."""

    def of(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> Informer:
        """The shared informer; it is started when first asked for."""
        ...
