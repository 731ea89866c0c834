"""Events as they are read by people: what happened to whom, newest last. Pure but `about`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nerv.kube import objects
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.operations import trace, tree
from nerv.operations.tree import Key

Subject = tuple[str, str, str]
"""kind, namespace and name of what an event is about"""


@dataclass(frozen=True)
class Event:
    """One event. `time` is its last occurrence (RFC 3339), `count` how often it happened."""

    time: str
    kind: str
    namespace: str
    name: str
    reason: str
    message: str
    warning: bool
    count: int = 1
    source: str = ""

    @classmethod
    def from_object(cls, event: Object) -> Event:
        """Of an event of either API: Kubernetes' own components leave `lastTimestamp` empty in the newer one."""
        about = event.get("involvedObject") or event.get("regarding") or {}
        series = event.get("series") or {}
        time = (
            event.get("lastTimestamp")
            or series.get("lastObservedTime")
            or event.get("eventTime")
            or objects.metadata(event).get("creationTimestamp")
            or ""
        )
        return cls(
            time=time,
            kind=about.get("kind", ""),
            namespace=about.get("namespace", ""),
            name=about.get("name", ""),
            reason=event.get("reason", ""),
            message=(event.get("message") or event.get("note") or "").strip(),
            warning=event.get("type") == "Warning",
            count=series.get("count") or event.get("count") or 1,
            source=(event.get("source") or {}).get("component") or event.get("reportingComponent", ""),
        )

    @property
    def subject(self) -> Subject:
        return self.kind, self.namespace, self.name

    def to_dict(self) -> dict[str, Any]:
        """For `-o json|yaml`."""
        return asdict(self)


def select(found: Iterable[Object], about: Collection[Subject] | None = None, *, warnings: bool = False) -> list[Event]:
    """Events by time, those `about` some objects alone, or warnings alone."""
    events = (Event.from_object(each) for each in found)
    chosen = (
        event for event in events if (about is None or event.subject in about) and (event.warning or not warnings)
    )
    return sorted(chosen, key=lambda event: (event.time, event.namespace, event.name, event.reason))


async def about(client: Client, catalogue: Catalogue, obj: Object) -> set[Subject]:
    """Who an object's story is told by: itself, what controllers made for it, and what Flux fetches for it."""
    grown = tree.grow(Key.of(obj), await tree.owned_by(client, obj))
    subjects = {(node.kind, node.namespace, node.name) for node in grown.walk()}
    for step in await trace.read(client, catalogue, obj):
        if step.link in ("content from", "chart from"):
            subjects.add((step.kind, step.namespace, step.name))
    return subjects
