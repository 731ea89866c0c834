"""The `crds/` folder of a chart, by Flux's policies: Skip, Create (only what is missing), CreateReplace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nerv.builders.helm import Chart, sdk
from nerv.builders.helm.values import merge
from nerv.controllers.flux.helm.engine import applying, waiting
from nerv.controllers.flux.helm.engine.cluster import ActionError, Cluster, Item, parse
from nerv.kube import errors, objects

SKIP = "Skip"
CREATE = "Create"
CREATE_REPLACE = "CreateReplace"
_PATIENCE = 60.0
"""Seconds until a new CRD must be established."""


async def apply(
    cluster: Cluster, chart: Chart, values: Mapping[str, Any], policy: str, labels: Mapping[str, str], namespace: str
) -> None:
    """Bring the CRDs of a chart and of its enabled dependencies. `labels` go onto each. Raises ActionError."""
    if policy == SKIP:
        return
    items: list[Item] = []
    for path, data in _files(chart, values):
        try:
            items += await cluster.items(await parse(data.decode()), namespace)
        except (ActionError, sdk.HelmError, UnicodeDecodeError) as error:
            raise ActionError(f"failed to parse CustomResourceDefinitions from {path}: {error}") from None
    changed = [await _apply(cluster, _labelled(item, labels), policy) for item in items]
    try:
        await waiting.ready(cluster, [item for item in changed if item], _PATIENCE, jobs=False)
    except ActionError as error:
        raise ActionError(f"failed to wait for CustomResourceDefinition(s): {error.message}") from None


async def _apply(cluster: Cluster, item: Item, policy: str) -> Item | None:
    """Returns the object if it was written."""
    if policy == CREATE:
        try:
            await cluster.writer.create(item.resource, item.object, item.namespace)
        except errors.AlreadyExists:
            return None
        except errors.ApiError as error:
            raise ActionError(f"failed to create CustomResourceDefinition {item.name}: {error.message}") from None
        return item
    present = await applying.live(cluster, item)
    try:
        if present is None:
            await cluster.writer.create(item.resource, item.object, item.namespace)
        else:
            metadata = {**item.object["metadata"], "resourceVersion": objects.resource_version(present)}
            await cluster.writer.replace(item.resource, {**item.object, "metadata": metadata})
    except errors.ApiError as error:
        raise ActionError(f"failed to update CustomResourceDefinition(s): {error.message}") from None
    return item


def _labelled(item: Item, labels: Mapping[str, str]) -> Item:
    metadata = dict(item.object["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    return Item(item.resource, {**item.object, "metadata": metadata})


def _files(chart: Chart, values: Mapping[str, Any]) -> Iterable[tuple[str, bytes]]:
    own = merge(chart.values, values)
    yield from ((path, data) for path, data in chart.crds() if (path, data) in chart.files)
    for dependency in chart.dependencies:
        if is_enabled(chart, dependency.name, own):
            given = own.get(dependency.name)
            yield from _files(dependency, given if isinstance(given, Mapping) else {})


def is_enabled(chart: Chart, name: str, values: Mapping[str, Any]) -> bool:
    """Whether values switch a dependency on: its condition if one of its paths says so, else its tags, else yes."""
    declared = next((each for each in chart.metadata.get("dependencies") or () if each.get("name") == name), None)
    if declared is None:
        return True
    for path in filter(None, re.split(r"\s*,\s*", str(declared.get("condition") or ""))):
        found = _lookup(values, path.split("."))
        if isinstance(found, bool):
            return found
    switches = values.get("tags")
    tags = switches if isinstance(switches, Mapping) else {}
    said = [tags[tag] for tag in declared.get("tags") or () if isinstance(tags.get(tag), bool)]
    return any(said) if said else True


def _lookup(values: Any, path: list[str]) -> Any:
    for part in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(part)
    return values
