"""A world of Flux for every test of its controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.flux import World, world


@pytest.fixture
async def flux(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as found:
        yield found
