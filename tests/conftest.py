"""Fixtures for all tests: a real API server and a client of it (see tests/support/apiserver.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.apiserver import running

from nerv.apiserver.identity import ADMIN
from nerv.apiserver.server import ApiServer
from nerv.kube.client import Client


@pytest.fixture
async def apiserver(tmp_path: Path) -> AsyncIterator[ApiServer]:
    """A running API server on an empty database."""
    async with running(tmp_path) as server:
        yield server


@pytest.fixture
def client(apiserver: ApiServer) -> Client:
    """Speaks to `apiserver` in process, as system:admin."""
    return apiserver.direct(ADMIN)
