"""The store: what is acknowledged is durable, whatever happens to the process; what cannot be read is said clearly."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import textwrap
from pathlib import Path

import pytest

from nerv.apiserver.journal import FORMAT
from nerv.apiserver.store import Compacted, Stale, Store
from nerv.errors import NervError

_WRITER = """
    import asyncio, sys
    from pathlib import Path
    from nerv.apiserver.store import Store

    async def main():
        store = Store(Path(sys.argv[1]))
        store.open()

        async def write(worker):
            number = 0
            while True:
                name = f"{worker}-{number}"
                await store.put("configmaps", {"metadata": {"name": name, "namespace": "n"}}, None)
                print(name, flush=True)
                number += 1

        await asyncio.gather(*(write(worker) for worker in range(8)))

    asyncio.run(main())
"""


def obj(name: str, **labels: str) -> dict:
    return {"metadata": {"name": name, "namespace": "n", "uid": "u", "labels": labels}}


async def opened(path: Path) -> Store:
    store = Store(path)
    store.open()
    return store


@pytest.mark.parametrize("count", [1, 50, 400])
async def test_killed_process_keeps_every_acknowledged_write(tmp_path: Path, count: int) -> None:
    path = tmp_path / "c.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(_WRITER), str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    acknowledged = [(await child.stdout.readline()).decode().strip() for _ in range(count)]
    child.send_signal(signal.SIGKILL)
    rest = (await child.stdout.read()).splitlines(keepends=True)
    acknowledged += [line.decode().strip() for line in rest if line.endswith(b"\n")]
    await child.wait()
    store = await opened(path)
    present = {entry.name for entry in store.entries("configmaps")}
    assert set(acknowledged) <= present
    await store.close()


async def test_version_goes_on_after_deletions_and_a_restart(tmp_path: Path) -> None:
    store = await opened(tmp_path / "c.db")
    entry = await store.put("k", obj("a"), None)
    await store.remove("k", entry.load(), entry)
    last = store.version
    await store.close()
    store = await opened(tmp_path / "c.db")
    assert store.version == last
    assert (await store.put("k", obj("a"), None)).version == last + 1
    await store.close()


async def test_nobody_sees_a_write_before_it_is_durable(tmp_path: Path) -> None:
    store = await opened(tmp_path / "c.db")
    pending = asyncio.ensure_future(store.put("k", obj("a"), None))
    await asyncio.sleep(0)
    assert store.get("k", "n", "a") is None
    head = store.head("k", "n", "a")
    assert head is not None
    await pending
    assert store.get("k", "n", "a") is head
    await store.close()


async def test_two_writers_of_one_object(tmp_path: Path) -> None:
    store = await opened(tmp_path / "c.db")
    entry = await store.put("k", obj("a"), None)
    first = asyncio.ensure_future(store.put("k", obj("a", x="1"), entry))
    await asyncio.sleep(0)
    with pytest.raises(Stale):
        await store.put("k", obj("a", x="2"), entry)
    await first
    await store.close()


async def test_failed_commit_takes_nothing_along_that_was_decided_on_it(tmp_path: Path) -> None:
    store = await opened(tmp_path / "c.db")
    kept = await store.put("k", obj("a"), None)
    connection = store._journal._connection
    assert connection
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(NervError, match="could not be written"):
        await store.put("k", obj("a", x="1"), kept)
    connection.execute("PRAGMA query_only = OFF")
    assert store.head("k", "n", "a") is kept
    await store.put("k", obj("a", x="2"), kept)
    await store.close()
    store = await opened(tmp_path / "c.db")
    assert store.entries("k")[0].labels == {"x": "2"}
    await store.close()


async def test_history_is_bounded(tmp_path: Path) -> None:
    store = await opened(tmp_path / "c.db")
    await asyncio.gather(*(store.put("k", obj(f"a{number}"), None) for number in range(1100)))
    assert len(store.since("k", store.version - 10)) == 10
    with pytest.raises(Compacted):
        store.since("k", 1)
    await store.close()


async def test_second_process_is_kept_out(tmp_path: Path) -> None:
    store = await opened(tmp_path / "c.db")
    with pytest.raises(NervError, match="in use by another process"):
        Store(tmp_path / "c.db").open()
    await store.close()


async def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    path.write_bytes(b"this is not a database, and it is long enough" * 100)
    with pytest.raises(NervError, match="is damaged"):
        Store(path).open()


async def test_damaged_row(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    store = await opened(path)
    await store.put("k", obj("a"), None)
    await store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE objects SET body = x'00'")
    connection.close()
    with pytest.raises(NervError, match="is damaged: k n/a"):
        Store(path).open()


async def test_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    await (await opened(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(NervError, match=f"has format {FORMAT + 1}, this NERV reads up to {FORMAT}"):
        Store(path).open()


async def test_foreign_database(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(NervError, match="is not a NERV database"):
        Store(path).open()


async def test_file_is_private(tmp_path: Path) -> None:
    store = await opened(tmp_path / "c.db")
    await store.put("k", obj("a"), None)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    await store.close()
