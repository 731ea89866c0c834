"""Watches: history first, then every committed change, each rendered once and shared by all who want the same form.

A watcher that does not read is closed with 410 (it lists again) before its backlog grows without bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from nerv.apiserver.store import Change, Compacted, Entry, Store
from nerv.http.messages import Chunk, Stream, StreamWriter
from nerv.kube import errors
from nerv.kube.objects import Object
from nerv.kube.resources import CUSTOM_RESOURCE_DEFINITIONS
from nerv.kube.selectors import FieldSelector, LabelSelector

_LARGEST_BACKLOG = 16 << 20
"""Bytes a watcher may leave unread: more than the largest list this machine's cluster has, once."""
_BOOKMARK_SECONDS = 60.0

Render = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Choice:
    """Which objects somebody asked for."""

    namespace: str
    labels: LabelSelector
    fields: FieldSelector

    @property
    def everything(self) -> bool:
        """Whether no selector narrows the resource down (the namespace may)."""
        return self.labels.empty and not self.fields.terms

    def matches(self, entry: Entry | None) -> bool:
        """Whether an object is chosen; a missing one is not."""
        if entry is None or (self.namespace and entry.namespace != self.namespace):
            return False
        if not self.labels.empty and not self.labels.matches(entry.labels):
            return False
        return self._fields_match(entry) if self.fields.terms else True

    def _fields_match(self, entry: Entry) -> bool:
        rest = False
        for term in self.fields.terms:
            if term.path == "metadata.name":
                if (entry.name == term.value) != term.equal:
                    return False
            elif term.path == "metadata.namespace":
                if (entry.namespace == term.value) != term.equal:
                    return False
            else:
                rest = True
        return self.fields.matches(entry.load()) if rest else True


@dataclass(frozen=True)
class Form:
    """How events are to look. Equal `key`s render equally, so that the result can be shared."""

    key: object
    render: Render | None
    """From stored bytes to the object of the event; None: as they are."""
    empty: Callable[[int], Object]
    """The object of a bookmark at a version."""


@dataclass(frozen=True)
class Watch:
    """What a watch request asks for."""

    key: str
    choice: Choice
    form: Form
    since: int | None
    """Start after this version; None: with the present objects as ADDED events."""
    initial_events: bool = False
    """WatchList: present objects first, then a bookmark that says so."""
    bookmarks: bool = False
    timeout: float = 0.0


def stream(store: Store, watch: Watch) -> Stream:
    """The answer to a watch. Raises errors.Gone when the history does not reach back."""
    changes: list[Change] = []
    if watch.since is not None:
        try:
            changes = store.since(watch.key, watch.since)
        except Compacted:
            raise errors.Gone(f"too old resource version: {watch.since} ({store.version})") from None
    return Stream(lambda writer: _Watcher(store, watch, writer).start(changes))


class _Watcher:
    """One open watch."""

    def __init__(self, store: Store, watch: Watch, writer: StreamWriter) -> None:
        self._store = store
        self._watch = watch
        self._writer = writer
        self._stops: list[Callable[[], None]] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._seen = watch.since or 0

    def start(self, changes: list[Change]) -> None:
        """Send what is known, then listen. Runs in one go, so that nothing falls in between."""
        watch = self._watch
        self._writer.on_close(self._close)
        if watch.since is None or watch.initial_events:
            for entry in self._store.entries(watch.key, watch.choice.namespace):
                if watch.choice.matches(entry):
                    self._writer.write(Chunk(line("ADDED", self._rendered(entry.raw))))
            self._seen = self._store.version
            if watch.initial_events:
                self._bookmark(initial=True)
        for change in changes:
            self._offer(change)
        if self._writer.closed:
            return
        self._stops = [
            self._store.listen(watch.key, self._offer),
            self._store.listen(CUSTOM_RESOURCE_DEFINITIONS.qualified, self._definition_changed),
        ]
        loop = asyncio.get_running_loop()
        if watch.timeout:
            self._timers.append(loop.call_later(watch.timeout, self._writer.close))
        if watch.bookmarks:
            self._timers.append(loop.call_later(_BOOKMARK_SECONDS, self._beat))

    def _offer(self, change: Change) -> None:
        if change.version <= self._seen:
            return
        kind = self._kind(change)
        if kind is None:
            return
        if self._writer.buffered > _LARGEST_BACKLOG:
            gone = errors.Gone("the watcher is too slow: list again and watch from there")
            self._writer.write(Chunk(line("ERROR", orjson.dumps(gone.status))))
            self._writer.close()
            return
        place = (kind, self._watch.form.key)
        chunk = change.lines.get(place)
        if chunk is None:
            chunk = change.lines[place] = Chunk(line(kind, self._rendered(_raw(change, kind))))
        self._writer.write(chunk)

    def _definition_changed(self, change: Change) -> None:
        """A watch of a custom resource ends with its definition: the watcher lists again, and sees that it is gone."""
        if change.deleted and change.after.name == self._watch.key:
            self._writer.close()

    def _kind(self, change: Change) -> str | None:
        choice = self._watch.choice
        if change.deleted:
            return "DELETED" if choice.matches(change.before) else None
        now = choice.matches(change.after)
        before = change.before is not None and choice.matches(change.before)
        if now:
            return "MODIFIED" if before else "ADDED"
        return "DELETED" if before else None

    def _rendered(self, raw: bytes) -> bytes:
        render = self._watch.form.render
        return render(raw) if render else raw

    def _beat(self) -> None:
        self._bookmark(initial=False)
        self._timers[-1] = asyncio.get_running_loop().call_later(_BOOKMARK_SECONDS, self._beat)

    def _bookmark(self, *, initial: bool) -> None:
        obj = self._watch.form.empty(self._store.version)
        if initial:
            obj["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
        self._writer.write(Chunk(line("BOOKMARK", orjson.dumps(obj))))

    def _close(self) -> None:
        for stop in self._stops:
            stop()
        for timer in self._timers:
            timer.cancel()


def line(kind: str, raw: bytes) -> bytes:
    """One event as it goes over the wire."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)


def _raw(change: Change, kind: str) -> bytes:
    """What the event shows: when an object leaves the choice, its former state under the new version."""
    if kind == "DELETED" and not change.deleted:
        assert change.before
        obj = change.before.load()
        obj["metadata"]["resourceVersion"] = str(change.version)
        return orjson.dumps(obj)
    return change.after.raw
