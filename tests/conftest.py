"""Fixtures for all tests: a real API server and a client of it (see tests/support/apiserver.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.apiserver import running

from nerv.apiserver.identity import ADMIN
from nerv.apiserver.server import ApiServer
from nerv.engines.upstream import store
from nerv.kube.client import Client

_LONGEST = ("e2e", "deploy")
"""Folders whose tests take longest. They begin first, so that no core ends a run alone with them."""

_NOT_BUILT = pytest.mark.skip(
    reason="the upstream engine is not built: left out (`./nerv test --engine upstream` builds it and runs this)"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest first; what needs the programs of the upstream engine is left out where they are not built."""
    items.sort(key=lambda item: item.path.parent.name not in _LONGEST)
    if store.default().missing():
        for item in items:
            if item.get_closest_marker("upstream"):
                item.add_marker(_NOT_BUILT)


@pytest.fixture
async def apiserver(tmp_path: Path) -> AsyncIterator[ApiServer]:
    """A running API server on an empty database."""
    async with running(tmp_path) as server:
        yield server


@pytest.fixture
def client(apiserver: ApiServer) -> Client:
    """Speaks to `apiserver` in process, as system:admin."""
    return apiserver.direct(ADMIN)
