"""The cluster that tests of add-ons share the shape of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.services import Site, site


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Site]:
    """A cluster with one node."""
    async with site(tmp_path) as running:
        await running.node()
        yield running
