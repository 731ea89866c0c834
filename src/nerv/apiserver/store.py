"""Objects in memory as JSON bytes, durable in SQLite, with one version counter and a bounded history of changes.

A write is decided against the newest state, committed by the writer thread together with whatever else waits (group
commit, WAL, synchronous=FULL), and only then becomes visible and acknowledged: nobody ever reads or watches what a
crash could take back. A key is the qualified resource name (`pods`, `deployments.apps`); all served versions of a
resource share it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import orjson

from nerv.apiserver.journal import Journal, Row
from nerv.errors import NervError
from nerv.http.messages import Chunk
from nerv.kube.objects import Object

_HISTORY_CHANGES = 1000
_HISTORY_BYTES = 4 << 20
_NO_LABELS: Mapping[str, str] = {}


class _Metadata(msgspec.Struct):
    uid: str = ""
    labels: dict[str, str] | None = None


class _Head(msgspec.Struct):
    metadata: _Metadata


_decoder = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One version of one object. `raw` is its JSON in the storage version, resourceVersion included."""

    namespace: str
    name: str
    uid: str
    version: int
    labels: Mapping[str, str]
    raw: bytes

    def load(self) -> Object:
        """A fresh dictionary that the caller may change."""
        obj: Object = orjson.loads(self.raw)
        return obj


@dataclass(slots=True, eq=False)
class Change:
    """One step of history. For a deletion `after` is the last state, under the deletion's version."""

    key: str
    version: int
    before: Entry | None
    after: Entry
    deleted: bool
    lines: dict[object, Chunk] = field(default_factory=dict)
    """Rendered watch events, shared by all watchers that want the same form."""


class Compacted(Exception):
    """The history no longer reaches back to the asked version."""


class Stale(Exception):
    """The object changed between reading and writing it."""


Listener = Callable[[Change], None]


@dataclass(eq=False)
class _Shelf:
    """All objects of one resource."""

    spaces: dict[str, dict[str, Entry]] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    history_bytes: int = 0
    compacted: int = 0
    listeners: set[Listener] = field(default_factory=set)
    version: int = 0
    lists: dict[object, bytes] = field(default_factory=dict)
    """Rendered lists; emptied at each change."""

    def forget_old(self) -> None:
        """Keep the history bounded in number and bytes."""
        history = self.history
        while len(history) > _HISTORY_CHANGES or (self.history_bytes > _HISTORY_BYTES and len(history) > 1):
            dropped = history.popleft()
            self.history_bytes -= len(dropped.after.raw)
            self.compacted = dropped.version


@dataclass(slots=True, eq=False)
class _Pending:
    """A change on its way to the disk; `entry` is None for a deletion."""

    entry: Entry | None
    done: asyncio.Future[None]


class Store:
    """See the module's docstring. Use from one event loop only."""

    def __init__(self, database: Path) -> None:
        self._journal = Journal(database)
        self._shelves: dict[str, _Shelf] = {}
        self._ahead: dict[tuple[str, str, str], _Pending] = {}
        self._version = 0
        self._assigned = 0
        self.on_commit: list[Listener] = []

    def open(self) -> None:
        """Read everything and start the writer. Raises NervError: damaged, newer, or in use."""
        self._version = self._journal.open()
        for row in self._journal.rows():
            self._shelf(row.key).spaces.setdefault(row.namespace, {})[row.name] = _entry(row, self._journal.path)
        for shelf in self._shelves.values():
            shelf.compacted = shelf.version = self._version
        self._assigned = self._version
        self._journal.start(asyncio.get_running_loop())

    async def close(self) -> None:
        """Write what waits and close the file."""
        await self._journal.close()

    @property
    def version(self) -> int:
        """Of the newest committed change."""
        return self._version

    def get(self, key: str, namespace: str, name: str) -> Entry | None:
        """The committed object."""
        shelf = self._shelves.get(key)
        if shelf is None:
            return None
        space = shelf.spaces.get(namespace)
        return space.get(name) if space else None

    def head(self, key: str, namespace: str, name: str) -> Entry | None:
        """The newest object, committed or on its way: what a write is decided against."""
        pending = self._ahead.get((key, namespace, name))
        return pending.entry if pending else self.get(key, namespace, name)

    async def settled(self, key: str, namespace: str, name: str) -> None:
        """Wait until what `head` showed is durable. Raises NervError."""
        pending = self._ahead.get((key, namespace, name))
        if pending:
            await asyncio.shield(pending.done)

    def entries(self, key: str, namespace: str = "") -> list[Entry]:
        """Of one namespace, or of all, ordered by namespace and name."""
        shelf = self._shelves.get(key)
        if shelf is None:
            return []
        if namespace:
            return [entry for _, entry in sorted(shelf.spaces.get(namespace, {}).items())]
        return [entry for _, space in sorted(shelf.spaces.items()) for _, entry in sorted(space.items())]

    def iterate(self, key: str, namespace: str | None = None) -> Iterator[Entry]:
        """Like `entries`, in no order, without building a list. Not to be held over a write."""
        shelf = self._shelves.get(key)
        if shelf is None:
            return
        spaces = shelf.spaces.values() if namespace is None else [shelf.spaces.get(namespace, {})]
        for space in spaces:
            yield from space.values()

    def lists(self, key: str) -> dict[object, bytes]:
        """A place to keep rendered lists until the resource changes."""
        return self._shelf(key).lists

    async def put(self, key: str, obj: Object, expected: Entry | None) -> Entry:
        """Store `obj` if the head is still `expected` (None: no such object yet). Sets its resourceVersion.

        Returns when it is durable. Raises Stale, NervError (the disk refused).
        """
        meta = obj["metadata"]
        namespace, name = meta.get("namespace") or "", meta["name"]
        self._demand(key, namespace, name, expected)
        version = self._next()
        meta["resourceVersion"] = str(version)
        labels = meta.get("labels") or _NO_LABELS
        entry = Entry(namespace, name, meta.get("uid") or "", version, labels, orjson.dumps(obj))
        await self._write(Change(key, version, expected, entry, deleted=False))
        return entry

    async def remove(self, key: str, obj: Object, expected: Entry) -> Entry:
        """Delete the object whose head is `expected`; `obj` is its last state, as watchers see it. Like `put`."""
        self._demand(key, expected.namespace, expected.name, expected)
        version = self._next()
        obj["metadata"]["resourceVersion"] = str(version)
        entry = Entry(expected.namespace, expected.name, expected.uid, version, expected.labels, orjson.dumps(obj))
        await self._write(Change(key, version, expected, entry, deleted=True))
        return entry

    def since(self, key: str, version: int) -> list[Change]:
        """The changes after `version`. Raises Compacted."""
        shelf = self._shelf(key)
        if version < shelf.compacted:
            raise Compacted
        history = list(shelf.history)
        return history[bisect_right(history, version, key=lambda change: change.version) :]

    def listen(self, key: str, listener: Listener) -> Callable[[], None]:
        """Hear every committed change of a resource in order; returns how to stop."""
        listeners = self._shelf(key).listeners
        listeners.add(listener)
        return lambda: listeners.discard(listener)

    def _shelf(self, key: str) -> _Shelf:
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = _Shelf(compacted=0)
        return shelf

    def _next(self) -> int:
        self._assigned += 1
        return self._assigned

    def _demand(self, key: str, namespace: str, name: str, expected: Entry | None) -> None:
        if self.head(key, namespace, name) is not expected:
            raise Stale

    async def _write(self, change: Change) -> None:
        after = change.after
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pending = _Pending(None if change.deleted else after, done)
        self._ahead[change.key, after.namespace, after.name] = pending
        row = Row(change.key, after.namespace, after.name, change.version, None if change.deleted else after.raw)
        self._journal.append(row, lambda error: self._committed(change, pending, error))
        await asyncio.shield(done)

    def _committed(self, change: Change, pending: _Pending, error: str) -> None:
        place = (change.key, change.after.namespace, change.after.name)
        if self._ahead.get(place) is pending:
            del self._ahead[place]
        if error:
            pending.done.set_exception(NervError(f"the change could not be written: {error}", "is the disk full?"))
            return
        self._version = change.version
        self._publish(change)
        pending.done.set_result(None)

    def _publish(self, change: Change) -> None:
        shelf = self._shelf(change.key)
        after = change.after
        space = shelf.spaces.setdefault(after.namespace, {})
        if change.deleted:
            space.pop(after.name, None)
            if not space:
                del shelf.spaces[after.namespace]
        else:
            space[after.name] = after
        shelf.version = change.version
        shelf.lists.clear()
        shelf.history.append(change)
        shelf.history_bytes += len(after.raw)
        while len(shelf.history) > _HISTORY_CHANGES or (
            shelf.history_bytes > _HISTORY_BYTES and len(shelf.history) > 1
        ):
            dropped = shelf.history.popleft()
            shelf.history_bytes -= len(dropped.after.raw)
            shelf.compacted = dropped.version
        for listener in self.on_commit:
            listener(change)
        for listener in tuple(shelf.listeners):
            listener(change)


def _entry(row: Row, path: Path) -> Entry:
    assert row.raw is not None
    try:
        head = _decoder.decode(row.raw)
    except msgspec.DecodeError as error:
        raise damaged(path, f"{row.key} {row.namespace}/{row.name}: {error}") from None
    labels = head.metadata.labels or _NO_LABELS
    return Entry(row.namespace, row.name, head.metadata.uid, row.version, labels, row.raw)


def damaged(path: Path, why: str) -> NervError:
    """The one line for a database that cannot be read."""
    return NervError(f"{path} is damaged: {why}", "restore a backup, or start afresh with `nerv reset`")
