"""Drift: what of a release's objects is not as its manifest says, found by dry runs of server-side apply."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from nerv.builders.helm import Release
from nerv.controllers.flux.helm.engine import applying
from nerv.controllers.flux.helm.engine.cluster import MANAGER, Cluster, Item
from nerv.controllers.flux.helm.jsonpatch import Operation, operations, without
from nerv.errors import NervError
from nerv.kube import errors, objects, selectors
from nerv.kube.objects import Object

DISABLED = ("helm.toolkit.fluxcd.io/driftDetection", "disabled")
REMOVED = "removed"
CHANGED = "changed"
EXCLUDED = "excluded"
UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Difference:
    """How one object differs: it was removed, or it was changed and `patch` makes it right again."""

    item: Item
    kind: str
    patch: tuple[Operation, ...] = ()

    @property
    def subject(self) -> str:
        """`Kind/namespace/name`."""
        parts = (self.item.kind, self.item.namespace, self.item.name)
        return "/".join(part for part in parts if part)

    @override
    def __str__(self) -> str:
        if self.kind != CHANGED:
            return f"{self.subject} {self.kind}"
        added, changed, removed = (sum(each["op"] == op for each in self.patch) for op in ("add", "replace", "remove"))
        return f"{self.subject} changed ({added} additions, {changed} changes, {removed} removals)"


@dataclass(frozen=True)
class Drift:
    """All differences, and what could not be looked at."""

    differences: tuple[Difference, ...]
    failures: tuple[str, ...] = field(default=())

    @property
    def present(self) -> bool:
        """Whether anything has to be corrected."""
        return any(each.kind in (REMOVED, CHANGED) for each in self.differences)

    def summary(self) -> str:
        """One line for each object that is not as it should be or was left out."""
        return "\n".join(str(each) for each in self.differences if each.kind != UNCHANGED)


async def find(cluster: Cluster, release: Release, ignore: Sequence[Mapping[str, Any]]) -> Drift:
    """Compare the release's objects with the cluster; `ignore` as in `spec.driftDetection.ignore`."""
    found: list[Difference] = []
    failures: list[str] = []
    rules = [_Rule(rule) for rule in ignore]
    for item in await cluster.items_of_text(release.manifest, release.namespace):
        wanted = applying.owned(_normalised(item), release.name, release.namespace)
        pointers = [path for rule in rules if rule.matches(wanted) for path in rule.paths]
        try:
            found.append(await _compare(cluster, wanted, pointers))
        except errors.ApiError as error:
            failures.append(f"{item.kind}/{objects.key(item.object)} dry-run failed ({error.reason}): {error.message}")
    return Drift(tuple(found), tuple(failures))


def _normalised(item: Item) -> Item:
    """Secrets as the API keeps them: `stringData` in `data`."""
    if item.kind != "Secret" or "stringData" not in item.object:
        return item
    data = dict(item.object.get("data") or {})
    for name, text in (item.object["stringData"] or {}).items():
        data[name] = base64.b64encode(str(text).encode()).decode()
    rest = {name: value for name, value in item.object.items() if name != "stringData"}
    return Item(item.resource, {**rest, "data": data})


async def _compare(cluster: Cluster, item: Item, ignored: Sequence[str]) -> Difference:
    if _opted_out(item.object) or "" in ignored:
        return Difference(item, EXCLUDED)
    live = await applying.live(cluster, item)
    if live is None:
        return Difference(item, REMOVED)
    if _opted_out(live):
        return Difference(item, EXCLUDED)
    wanted = await cluster.client.apply(item.resource, item.object, field_manager=MANAGER, force=True, dry_run=True)
    before, after = without(live, ignored), without(wanted, ignored)
    marks = operations(_marks(before), _marks(after))
    # labels and annotations that others added are no drift
    patch = [each for each in marks if each["op"] != "remove"] + operations(_body(before), _body(after))
    return Difference(item, CHANGED, tuple(patch)) if patch else Difference(item, UNCHANGED)


def _opted_out(obj: Object) -> bool:
    key, value = DISABLED
    return value in (objects.labels(obj).get(key), objects.annotations(obj).get(key))


def _marks(obj: Object) -> Object:
    metadata = obj.get("metadata") or {}
    kept = {name: metadata[name] for name in ("name", "annotations", "labels") if metadata.get(name)}
    return {"metadata": kept}


def _body(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


class _Rule:
    """A rule of `ignore`: its pointers, and what it is about; fields of the target are whole-text patterns."""

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self.paths: Sequence[str] = rule.get("paths") or ()
        self._target: Mapping[str, str] = rule.get("target") or {}

    def matches(self, item: Item) -> bool:
        fields = {
            "group": item.resource.group,
            "version": item.resource.version,
            "kind": item.kind,
            "name": item.name,
            "namespace": item.namespace or "",
        }
        for name, value in fields.items():
            pattern = self._target.get(name)
            if pattern and not re.fullmatch(pattern, value):
                return False
        chosen = {
            "labelSelector": objects.labels(item.object),
            "annotationSelector": objects.annotations(item.object),
        }
        return all(
            selectors.parse_label(self._target[name]).matches(marks)
            for name, marks in chosen.items()
            if self._target.get(name)
        )


async def correct(cluster: Cluster, differences: Iterable[Difference]) -> tuple[list[str], list[str]]:
    """Create what was removed and patch what was changed. Returns what was done and what failed, a line each."""
    done: list[str] = []
    failures: list[str] = []
    for each in sorted(differences, key=lambda one: (one.kind != REMOVED, one.subject)):
        if each.kind not in (REMOVED, CHANGED):
            continue
        verb, what = ("created", "creation") if each.kind == REMOVED else ("configured", "patch")
        try:
            await _correct(cluster, each)
        except errors.ApiError as error:
            message = _masked(error) if each.item.kind == "Secret" else error.message
            failures.append(f"{each.subject} {what} failure: {message}")
        else:
            done.append(f"{each.subject} {verb}")
    return done, failures


async def _correct(cluster: Cluster, difference: Difference) -> None:
    item = difference.item
    if difference.kind == REMOVED:
        await cluster.writer.create(item.resource, item.object, item.namespace)
    else:
        await cluster.writer.patch(item.resource, item.object, list(difference.patch), type="json")


def _masked(error: NervError) -> str:
    """Why a Secret was refused, without the values that the API server quotes."""
    return error.message.rpartition(":")[2].strip()
