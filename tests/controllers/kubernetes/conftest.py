"""The cluster that these tests share the shape of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.controllers import World, cluster


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A cluster with one node."""
    async with cluster(tmp_path) as running:
        await running.node("n1")
        yield running
