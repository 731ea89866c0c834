"""The JSON Schema that editors use agrees with the loader on the fixtures, and documents every field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from nerv import documents
from nerv.components import definition
from nerv.platform import versions

HERE = Path(__file__).parent
SCHEMA: dict[str, Any] = json.loads(definition.schema())
# rules over several fields, and text rules that a pattern does not hold, are the loader's alone
SEEN_BY_SCHEMA = (
    "missing-parts",
    "wrong-api-version",
    "unknown-keys",
    "unquoted-version",
    "wrong-kinds-of-values",
    "wrong-choices",
    "bad-names",
    "bad-domain",
    "bad-mac",
    "pool-empty",
    "bad-chart-version",
)


@pytest.mark.parametrize("path", sorted((HERE / "valid").glob("*.yaml")), ids=lambda path: path.stem)
def test_right_definitions_fit(path: Path) -> None:
    jsonschema_rs.validate(SCHEMA, documents.load(path.read_bytes()))


@pytest.mark.parametrize("name", SEEN_BY_SCHEMA)
def test_wrong_definitions_do_not(name: str) -> None:
    value = documents.load((HERE / "invalid" / f"{name}.yaml").read_bytes())
    assert not jsonschema_rs.is_valid(SCHEMA, value)


def test_every_field_is_documented() -> None:
    models = {"Platform": SCHEMA, **SCHEMA["$defs"]}
    silent = [
        f"{model}.{name}"
        for model, schema in models.items()
        for name, field in schema.get("properties", {}).items()
        if not field.get("description")
    ]
    assert silent == []


def test_flux_runs_on_every_kubernetes_that_can_be_chosen() -> None:
    choices = SCHEMA["$defs"]["KubernetesSettings"]["properties"]["version"]["enum"]
    assert all(int(choice.removeprefix("v1.")) >= 31 for choice in choices)
    assert versions.KUBERNETES in choices
