"""A real API server for tests: its own database under `tmp_path`, no socket unless asked for.

Use, in any test module:

    from tests.support.apiserver import running

    async def test_something(tmp_path):
        async with running(tmp_path) as server:
            client = server.direct(ADMIN)
            await client.create(CONFIG_MAPS, {...})

or the fixtures `apiserver` and `client` of `tests/conftest.py` (client speaks as system:admin). Every server has the
namespaces default, kube-system, kube-public and kube-node-lease.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nerv.apiserver.server import ApiServer, Config


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[ApiServer]:
    """An API server that is stopped at the end."""
    server = ApiServer(Config(database=folder / "cluster.db"))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
