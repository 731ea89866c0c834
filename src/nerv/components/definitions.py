"""Custom resource definitions that the components bring: groups, scopes, schemas, from the rooms' own package data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources as package
from typing import Any

from nerv import documents
from nerv.components import charts
from nerv.components.flux import resources as flux
from nerv.components.objects import Object
from nerv.kube.schemas import Schema, structural

Key = tuple[str, str, str]
"""API group, version, kind."""


@cache
def _of_room(room: str) -> tuple[Object, ...]:
    chart = package.files("nerv.components") / room / "standin"
    single = chart / "files" / "crds.yaml"
    found = [single] if single.is_file() else sorted((chart / "crds").iterdir(), key=lambda file: file.name)
    return tuple(obj for file in found for obj in documents.load_all(file.read_text(encoding="utf-8")))


@cache
def groups_of_chart(chart: str) -> frozenset[str]:
    """API groups that a chart of the catalog defines; none for other charts."""
    room = charts.room_of(chart)
    return frozenset(str(obj["spec"]["group"]) for obj in _of_room(room)) if room else frozenset()


@cache
def _all() -> tuple[Object, ...]:
    return (*flux.definitions(), *(obj for room in charts.rooms() for obj in _of_room(room)))


@cache
def groups() -> frozenset[str]:
    """API groups of all components."""
    return frozenset(str(obj["spec"]["group"]) for obj in _all())


@cache
def cluster_wide() -> frozenset[tuple[str, str]]:
    """Group and kind of what stands in no namespace."""
    return frozenset(
        (obj["spec"]["group"], obj["spec"]["names"]["kind"]) for obj in _all() if obj["spec"]["scope"] == "Cluster"
    )


@cache
def _raw() -> dict[Key, Any]:
    return {key: raw for obj in _all() for key, raw in schemas_of(obj)}


def schemas_of(definition: Object) -> Iterator[tuple[Key, Any]]:
    """Every served version of a definition with its schema as it stands there."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if version.get("served", True):
            raw = version.get("schema", {}).get("openAPIV3Schema")
            yield (spec["group"], version["name"], spec["names"]["kind"]), raw


@cache
def schema(group: str, version: str, kind: str) -> Schema | None:
    """The schema of a component's custom resource, or None where no component defines it."""
    key = (group, version, kind)
    return structural(_raw()[key]) if key in _raw() else None
