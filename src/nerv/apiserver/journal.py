"""The SQLite file behind the store: read once at the start, then written by one thread with group commit."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from nerv.errors import NervError

FORMAT = 1
_APPLICATION = 0x4E455256  # "NERV" in the file's header, so that another SQLite file is not mistaken for ours
_LARGEST_BATCH = 1000
_SCHEMA = """
CREATE TABLE objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)
);
CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
INSERT INTO counter VALUES (1, 0);
"""
_PUT = "INSERT OR REPLACE INTO objects (resource, namespace, name, version, body) VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?"


class Row(NamedTuple):
    """One object as it is stored; `raw` is None where it is deleted."""

    key: str
    namespace: str
    name: str
    version: int
    raw: bytes | None


Done = Callable[[str], None]
"""Called on the event loop with an empty string once the row is durable, else with the reason why it is not."""


class Journal:
    """A batch that fails takes everything queued behind it along: later writes were decided on top of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[tuple[int, Row, Done] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch = 0
        self._connection: sqlite3.Connection | None = None

    def open(self) -> int:
        """Open or create the file (mode 0600); returns the last version. Raises NervError."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise NervError(f"{self.path} cannot be opened: {error.strerror}", "is the folder writable?") from None
        connection = sqlite3.connect(self.path, timeout=0.5, isolation_level=None, check_same_thread=False)
        try:
            version = _prepare(connection, self.path)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise _explained(self.path, error) from None
        except NervError:
            connection.close()
            raise
        self._connection = connection
        return version

    def rows(self) -> Iterator[Row]:
        """Every stored object. Raises NervError."""
        assert self._connection
        try:
            for row in self._connection.execute("SELECT resource, namespace, name, version, body FROM objects"):
                yield Row(*row)
        except sqlite3.DatabaseError as error:
            raise _explained(self.path, error) from None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the writer thread; answers go to `loop`."""
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def append(self, row: Row, done: Done) -> None:
        """Queue one row."""
        self._queue.put((self._epoch, row, done))

    async def close(self) -> None:
        """Write what is queued, then close the file."""
        if self._thread:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._connection:
            self._connection.close()
            self._connection = None

    def _run(self) -> None:
        """The writer thread."""
        assert self._loop
        epoch = 0
        ending = False
        while not ending:
            batch = [self._queue.get()]
            while len(batch) < _LARGEST_BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            if batch[-1] is None or None in batch:
                ending = True
            writes = [item for item in batch if item is not None]
            good = [item for item in writes if item[0] == epoch]
            stale = [item for item in writes if item[0] != epoch]
            error = self._commit([row for _, row, _ in good]) if good else ""
            if error:
                epoch += 1
            if writes and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._answer, good, error, stale, epoch)

    def _commit(self, rows: list[Row]) -> str:
        assert self._connection
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for row in rows:
                if row.raw is None:
                    self._connection.execute(_REMOVE, row[:3])
                else:
                    self._connection.execute(_PUT, row)
            self._connection.execute("UPDATE counter SET version = ?", (rows[-1].version,))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return str(error)
        return ""

    def _answer(
        self, good: list[tuple[int, Row, Done]], error: str, stale: list[tuple[int, Row, Done]], epoch: int
    ) -> None:
        self._epoch = epoch
        for _, _, done in good:
            done(error)
        for _, _, done in stale:
            done("an earlier change failed")


def _prepare(connection: sqlite3.Connection, path: Path) -> int:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if found == 0 and application == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    elif application != _APPLICATION:
        raise NervError(f"{path} is not a NERV database", "move it away, or restore a backup")
    elif found > FORMAT:
        raise NervError(
            f"{path} has format {found}, this NERV reads up to {FORMAT}", "use the newer NERV that wrote it"
        )
    connection.execute("COMMIT")
    version: int = connection.execute("SELECT version FROM counter").fetchone()[0]
    return version


def _explained(path: Path, error: sqlite3.DatabaseError) -> NervError:
    if "locked" in str(error):
        return NervError(f"{path} is in use by another process", "stop the other `nerv` first")
    return NervError(f"{path} is damaged: {error}", "restore a backup, or start afresh with `nerv reset`")
