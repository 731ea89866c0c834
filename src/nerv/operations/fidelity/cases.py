"""Cases as data: requests in order, each namespace a case's own. Read from the YAML files beside this module.

    area: patches
    cases:
      - name: two managers want one field
        steps:
          - POST: /api/v1/namespaces/{ns}/configmaps
            body: {...}
          - GET: /api/v1/namespaces/{ns}/configmaps/a
            until: '"count":"2"'          # asked again until the answer holds this text

`{ns}` is the case's namespace, which exists before its first step. Of a step, besides the method: `body` (sent as
JSON) or `raw` (sent as it is), `type` and `accept` (media types), `user` (impersonated), `lines: true` (a stream,
read to its end), `until`, `keep` (only these fields of the answer are compared, as dotted paths).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources as package
from typing import Any

from nerv import documents

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PATCHES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_ACCEPTS = {
    "table": "application/json;as=Table;v=v1;g=meta.k8s.io",
    "metadata": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "metadata-list": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "discovery": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
}


@dataclass(frozen=True)
class Step:
    """One request."""

    method: str
    path: str
    body: bytes
    content_type: str
    accept: str
    user: str
    lines: bool
    until: str
    keep: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """Requests and a name for what they show."""

    area: str
    name: str
    steps: tuple[Step, ...]
    gap: str = ""
    """Why ours is known to differ."""
    other_version: str = ""
    """Why the recorded one is not to be copied."""

    @property
    def namespace(self) -> str:
        """The namespace that is the case's own."""
        return f"{self.area}-{re.sub('[^a-z0-9]+', '-', self.name.lower()).strip('-')}"[:63].strip("-")

    @property
    def identity(self) -> str:
        """How the recording names it."""
        return f"{self.area}: {self.name}"


@cache
def api() -> tuple[Case, ...]:
    """Every case of the Kubernetes API, by file and order."""
    folder = package.files(__package__) / "cases"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return tuple(case for file in files for case in read(file.read_text(encoding="utf-8")))


def read(text: str) -> Iterator[Case]:
    """The cases of one file."""
    told = documents.load(text)
    for case in told["cases"]:
        steps = tuple(_step(step) for step in case["steps"])
        yield Case(told["area"], case["name"], steps, case.get("gap", ""), case.get("otherVersion", ""))


def _step(told: Mapping[str, Any]) -> Step:
    method = next(name for name in _METHODS if name in told)
    body = told["raw"].encode() if "raw" in told else documents.dump_json(told["body"]) if "body" in told else b""
    kind = told.get("type", "application/json")
    accept = told.get("accept", "application/json")
    return Step(
        method=method,
        path=told[method],
        body=body,
        content_type=_PATCHES.get(kind, kind),
        accept=_ACCEPTS.get(accept, accept),
        user=told.get("user", ""),
        lines=bool(told.get("lines")),
        until=told.get("until", ""),
        keep=tuple(told.get("keep", ())),
    )
