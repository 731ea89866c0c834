"""A platform's folder, prepared once for all tests of deploys."""

from __future__ import annotations

import pytest
from tests.support.operators import Template, prepare


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return prepare(tmp_path_factory.mktemp("platforms"))
