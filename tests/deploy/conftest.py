"""What tests of deploys share: a platform's folder, prepared once, and a network with one machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.machines import Lan, Machine, lan
from tests.support.operators import Template, prepare


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return prepare(tmp_path_factory.mktemp("platforms"))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """A module's network, with nerv-1 in it."""
    with lan(tmp_path_factory.mktemp("lan")) as made:
        made.machine("nerv-1", "192.168.1.10")
        yield made


@pytest.fixture
def machine(net: Lan) -> Machine:
    return net.machines["nerv-1"]
