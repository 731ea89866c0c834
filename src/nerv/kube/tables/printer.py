"""What a Table of one kind looks like: columns, and the cells of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from nerv.kube import jsonpath, objects
from nerv.kube.objects import Object
from nerv.kube.tables import ages

Cells: TypeAlias = Callable[[Object, datetime], list[Any]]


@dataclass(frozen=True)
class Column:
    """A column. Those of priority above 0 are shown with `-o wide` alone."""

    name: str
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""

    def definition(self) -> Object:
        """The TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True)
class Printer:
    """Columns and cells of one kind."""

    columns: tuple[Column, ...]
    cells: Cells


def columns(*specifications: str) -> tuple[Column, ...]:
    """From `Ready`, `Restarts:integer` and `IP+` (a plus sign: wide only). The first column is the name."""
    found = []
    for specification in specifications:
        wide = specification.endswith("+")
        name, _, kind = specification.rstrip("+").partition(":")
        found.append(Column(name, kind or "string", int(wide), "name" if name == "Name" else ""))
    return tuple(found)


def table(
    printer: Printer,
    items: Sequence[Object],
    now: datetime,
    *,
    list_metadata: Mapping[str, Any] | None = None,
    include: str = "Metadata",
    with_columns: bool = True,
) -> Object:
    """A `meta.k8s.io/v1` Table. `include` is None, Metadata or Object, as the parameter `includeObject` says."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(list_metadata or {}),
        "columnDefinitions": [column.definition() for column in printer.columns] if with_columns else [],
        "rows": [row(printer, item, now, include) for item in items],
    }


def row(printer: Printer, item: Object, now: datetime, include: str = "Metadata") -> Object:
    """One TableRow."""
    found: Object = {"cells": printer.cells(item, now), "object": None}
    if include == "Object":
        found["object"] = item
    elif include != "None":
        found["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": item.get("metadata") or {},
        }
    return found


DEFAULT = Printer(
    (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Created At", "date"),
    ),
    lambda obj, now: [objects.name(obj), objects.metadata(obj).get("creationTimestamp")],
)
"""What the API server prints for builtin kinds without columns of their own (CustomResourceDefinition among them)."""


def custom(additional: Sequence[Mapping[str, Any]] | None) -> Printer:
    """The printer of a custom resource, from `additionalPrinterColumns`; without any it prints name and age."""
    described = list(additional or [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}])
    found = [Column("Name", format="name")]
    paths = []
    for item in described:
        found.append(
            Column(
                item["name"],
                item.get("type", "string"),
                item.get("priority", 0),
                item.get("format", ""),
                item.get("description", ""),
            )
        )
        paths.append((jsonpath.parse(item["jsonPath"]), item.get("type", "string")))

    def cells(obj: Object, now: datetime) -> list[Any]:
        return [objects.name(obj), *(_cell(path.first(obj), kind, now) for path, kind in paths)]

    return Printer(tuple(found), cells)


def _cell(value: Any, kind: str, now: datetime) -> Any:
    """A value of another type than its column's stays empty, as with the API server."""
    if value is None:
        return None
    if kind == "string":
        return jsonpath.show(value)
    if kind == "date":
        return ages.since(value, now) if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if kind == "integer" else value
