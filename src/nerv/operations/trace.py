"""Where an object comes from: up over its owners to the release and the Kustomization that applied it, and on to the
source and its revision. Pure but `read`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nerv.kube import errors, objects
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.operations import kinds
from nerv.operations.status import Item, short_revision
from nerv.operations.tree import Key, level_of

_LABELS = ((kinds.HELM_GROUP, "HelmRelease"), (kinds.KUSTOMIZE_GROUP, "Kustomization"))
Get = Callable[[Key], Awaitable[Object | None]]


@dataclass(frozen=True)
class Step:
    """One object on the way up. `link` says how the object before it hangs on this one."""

    link: str
    kind: str
    namespace: str
    name: str
    level: str
    message: str
    revision: str = ""
    detail: str = ""
    """where it takes its content from: path, chart, URL"""

    def to_dict(self) -> dict[str, Any]:
        """For `-o json|yaml`."""
        return asdict(self)


def above(obj: Object) -> tuple[str, Key] | None:
    """What an object hangs on, and how; None where the way ends."""
    owner = objects.controller_of(obj) or next(iter(objects.metadata(obj).get("ownerReferences") or ()), None)
    if owner:
        group, _ = objects.split_api_version(owner["apiVersion"])
        return "owned by", Key(group, owner["kind"], objects.namespace(obj), owner["name"])
    reference = source_reference(obj) if "toolkit.fluxcd.io" in objects.api_version(obj) else None
    return ("content from", reference) if reference else applied_by(obj)


def applied_by(obj: Object) -> tuple[str, Key] | None:
    """The Flux object whose labels stand on an object. A release's label counts first: it is the nearer one."""
    labels = objects.labels(obj)
    for group, kind in _LABELS:
        name, space = labels.get(f"{group}/name"), labels.get(f"{group}/namespace")
        if name and space:
            return ("released by" if kind == "HelmRelease" else "applied by"), Key(group, kind, space, name)
    return None


def source_reference(obj: Object) -> Key | None:
    """What a Kustomization, a HelmRelease (its HelmChart) or a HelmChart takes its content from."""
    spec, space = obj.get("spec") or {}, objects.namespace(obj)
    chart = (obj.get("status") or {}).get("helmChart", "")
    if objects.kind(obj) == "HelmRelease" and "/" in chart:
        return Key(kinds.SOURCE_GROUP, "HelmChart", *chart.split("/", 1))
    template = spec.get("chart") if isinstance(spec.get("chart"), dict) else {}
    of_template = (template.get("spec") or {}).get("sourceRef") if template else None
    reference: Mapping[str, Any] = spec.get("chartRef") or spec.get("sourceRef") or of_template or {}
    if not reference.get("name"):
        return None
    return Key(kinds.SOURCE_GROUP, reference["kind"], reference.get("namespace") or space, reference["name"])


async def read(client: Client, catalogue: Catalogue, obj: Object) -> list[Step]:
    """The chain of one object, itself first. Raises ApiError where a step may not be read."""

    async def get(key: Key) -> Object | None:
        resource = catalogue.of_kind(key.group, key.kind)
        try:
            found = resource and await client.get(resource, key.name, key.namespace or None)
        except errors.NotFound:
            return None
        return {**found, "apiVersion": resource.api_version, "kind": resource.kind} if found and resource else None

    return await climb(obj, get)


async def climb(obj: Object, get: Get) -> list[Step]:
    """The chain, with objects from `get`. It ends at a source, at what nobody applied, or where it would turn round.

    A release has two ways up: to its chart, and to the Kustomization that applied it. Both are shown, the chart's
    first, because the way to Git is the one that ends the chain.
    """
    steps = [_step("", obj)]
    seen = {Key.of(obj)}
    current: Object | None = obj
    while current is not None:
        if objects.kind(current) == "HelmRelease":
            steps += await _chart(current, get)
        link = applied_by(current) if objects.kind(current) == "HelmRelease" else above(current)
        if link is None or link[1] in seen:
            break
        seen.add(link[1])
        current = await get(link[1])
        steps.append(_step(link[0], current) if current else _missing(*link))
        if link[0] == "content from" and link[1].kind != "HelmChart":
            break  # a source: that a Kustomization applied it in turn is another story
    return steps


async def _chart(release: Object, get: Get) -> list[Step]:
    steps = []
    reference = source_reference(release)
    while reference:
        found = await get(reference)
        steps.append(_step("chart from", found) if found else _missing("chart from", reference))
        reference = source_reference(found) if found and objects.kind(found) == "HelmChart" else None
    return steps


def _step(link: str, obj: Object) -> Step:
    level, message = level_of(obj)
    spec = obj.get("spec") or {}
    flux = "toolkit.fluxcd.io" in objects.api_version(obj)
    revision = short_revision(Item.from_object(obj).revision) if flux else ""
    chart = spec.get("chart") if isinstance(spec.get("chart"), str) else ""
    detail = str(spec.get("path") or chart or spec.get("url") or spec.get("endpoint") or "") if flux else ""
    return Step(link, objects.kind(obj), objects.namespace(obj), objects.name(obj), level, message, revision, detail)


def _missing(link: str, key: Key) -> Step:
    return Step(link, key.kind, key.namespace, key.name, "NotFound", "not found")
