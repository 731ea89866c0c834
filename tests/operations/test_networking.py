"""The network's driver: asked for, remembered, forgotten, refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.nodes import proxy_network

from nerv.errors import NervError
from nerv.network.choosing import Choice
from nerv.operations import folder as folders
from nerv.operations import networking
from nerv.operations.folder import PlatformFolder


@pytest.fixture
def folder(tmp_path: Path) -> PlatformFolder:
    found = PlatformFolder(tmp_path)
    folders.open_state(found)
    return found


async def test_a_driver_that_is_asked_for_is_remembered_until_auto(folder: PlatformFolder) -> None:
    choice, asked = await networking.choose(folder, "proxy")
    async with proxy_network("none") as network:
        record = networking.remember(folder, network, choice, asked)
    assert networking.read(folder) == record
    assert record.lines()[0] == "driver proxy: asked for"
    assert any("run as this user" in line for line in record.lines())
    assert await networking.choose(folder, None) == (Choice("proxy", "asked for"), "proxy")
    assert (await networking.choose(folder, "auto"))[1] == ""


async def test_an_unknown_driver_is_refused_with_those_that_exist(folder: PlatformFolder) -> None:
    with pytest.raises(NervError, match="no network driver 'bridge'") as caught:
        await networking.choose(folder, "bridge")
    assert caught.value.hint == "drivers: namespaces, proxy, auto"


def test_a_record_that_cannot_be_read_counts_as_none(folder: PlatformFolder) -> None:
    assert networking.read(folder) is None
    folders.write_private(folder.network_file, "{")
    assert networking.read(folder) is None
