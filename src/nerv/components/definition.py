"""Loading `nerv.yaml`: text -> Platform, all problems at once; its JSON Schema for editors."""

from __future__ import annotations

import pathlib

from nerv import documents
from nerv.components.catalog import Platform
from nerv.components.rules import RULES
from nerv.platform import loading

SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"


# What stands in for a part that is refused whole, so that rules about the others can still be asked.
_MINIMAL = {
    "apiVersion": "nerv.dev/v1",
    "kind": "Platform",
    "metadata": {"name": "home"},
    "spec": {
        "domain": "nerv.local",
        "nodes": [{"name": "nerv-1", "address": "192.168.1.10"}],
        "network": {"cidr": "192.168.1.0/24", "gateway": "192.168.1.1"},
        "repository": {"url": "https://github.com/you/home.git"},
        "components": {"metallb": {"pool": ["192.168.1.111-192.168.1.150"]}},
    },
}

FORMAT = loading.Format(Platform, RULES, _MINIMAL)


def load(path: pathlib.Path) -> Platform:
    """The definition in `path`. Raises ProblemsError with everything wrong in it, NervError when it is not readable."""
    return parse(loading.read_file(path), path.name)


def parse(data: bytes, file: str = "nerv.yaml") -> Platform:
    """The definition in `data`; `file` names it in problems. Raises ProblemsError."""
    return loading.parse(data, file, FORMAT)


def schema() -> str:
    """The JSON Schema of `nerv.yaml`, with the documentation of every field."""
    made = Platform.model_json_schema(by_alias=True, mode="validation")
    told = {"$schema": SCHEMA_URL, "title": "NERV platform (nerv.dev/v1)"}
    return documents.dump_json(told | {k: v for k, v in made.items() if k != "title"}, indent=True).decode() + "\n"
