"""The charts' interfaces that rooms carry with their stand-ins: default values and the schema of values."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources as package
from typing import Any

from nerv import documents
from nerv.components.objects import merge
from nerv.platform import versions
from nerv.platform.versions import Chart

# Chart name -> its pin and the room that carries its stand-in.
_PINNED: dict[str, tuple[Chart, str]] = {
    chart.name: (chart, room)
    for chart, room in (
        (versions.METALLB, "metallb"),
        (versions.TRAEFIK, "traefik"),
        (versions.LONGHORN, "longhorn"),
        (versions.CERT_MANAGER, "cert_manager"),
    )
}


def wrong_values(chart: str, version: str, values: dict[str, Any]) -> list[str]:
    """What the schema of a pinned chart refuses in `values`: `path: message`.

    Nothing is said of other charts and versions, and of charts without a schema.
    """
    pin, room = _PINNED.get(chart, (None, ""))
    if pin is None or pin.version != version:
        return []
    validator = _validator(room)
    if validator is None:
        return []
    # Helm checks what is given together with the chart's own defaults
    errors = validator.iter_errors(merge(_defaults(room), values))
    return [f"{'.'.join(('values', *map(str, error.instance_path)))}: {error.message}" for error in errors]


def room_of(chart: str) -> str | None:
    """The room that carries the stand-in of a chart, or None for charts that are not the catalog's."""
    return _PINNED[chart][1] if chart in _PINNED else None


def rooms() -> tuple[str, ...]:
    """Rooms with a stand-in chart."""
    return tuple(room for _, room in _PINNED.values())


@cache
def _validator(room: str) -> Any:
    import jsonschema_rs  # a library of 15 MB that only checks need

    file = package.files("nerv.components") / room / "standin" / "values.schema.json"
    return jsonschema_rs.validator_for(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


@cache
def _defaults(room: str) -> dict[str, Any]:
    file = package.files("nerv.components") / room / "standin" / "values.yaml"
    read: dict[str, Any] = documents.load(file.read_text(encoding="utf-8"))
    return read
