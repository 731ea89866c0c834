"""`metadata.managedFields`: server-side apply, and the bookkeeping of creates, updates and patches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.ownership import emptiness, sets, walks
from nerv.kube.ownership.problems import ApplyConflict, Conflict, SchemaMismatch, describe_manager
from nerv.kube.ownership.sets import LEAF, FieldSet
from nerv.kube.schemas.view import Schema

MAX_UPDATERS: Final = 10
"""Entries of operation Update that are kept apart; older ones are joined into `ancient-changes`."""

# Fields that the server itself sets and nobody owns.
_SERVER_METADATA: Final = frozenset(
    "f:" + name
    for name in (
        *("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields"),
        *("resourceVersion", "."),
    )
) | {"."}


# Nobody owns what says which object it is, so nobody can take it away either.
_IDENTITY: Final[FieldSet] = {"f:apiVersion": LEAF, "f:kind": LEAF, "f:metadata": dict.fromkeys(_SERVER_METADATA, LEAF)}


@dataclass(frozen=True)
class Manager:
    """One entry of managedFields, with its set of fields."""

    name: str
    operation: str
    api_version: str
    subresource: str
    time: str
    fields: FieldSet

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells entries apart. One that applies is the same in every version."""
        return self.name, self.operation, self.api_version if self.operation == "Update" else "", self.subresource

    def entry(self) -> Object:
        """As it is stored."""
        stored: Object = {"apiVersion": self.api_version, "fieldsType": "FieldsV1"}
        stored |= {"fieldsV1": sets.ordered(self.fields), "manager": self.name, "operation": self.operation}
        if self.subresource:
            stored["subresource"] = self.subresource
        if self.time:
            stored["time"] = self.time
        return stored


def apply(
    live: Object | None,
    applied: Object,
    manager: str,
    force: bool,
    schema: Schema,
    now: datetime,
    *,
    subresource: str = "",
    has_status: bool = True,
) -> Object:
    """Server-side apply. Returns `live` itself when nothing changes, else a new object that shares unchanged parts.

    The result is not defaulted. On the main resource `status` is ignored, unless the kind has no such subresource
    (`has_status` False); on the status subresource all but `status` is. Raises ApplyConflict (unless forced) and
    SchemaMismatch.
    """
    status = not has_status
    problems: list[str] = []
    named = _own(walks.named_fields(applied, schema, problems), subresource, status)
    if problems:
        raise SchemaMismatch(applied, problems)
    base = live or {}
    managers = _read(base)
    if live and not managers:
        managers = [_before_first_apply(live, schema)]
    me = Manager(manager, "Apply", applied["apiVersion"], subresource, objects.timestamp(now), named)
    mine = next((item for item in managers if item.identity == me.identity), None)
    others = [item for item in managers if item is not mine]

    merged = walks.merge(base, _effective(applied, subresource, status), schema)
    if mine is not None:
        merged = _prune(merged, schema, mine.fields, [me, *others])
    changed, removed = walks.compare(base, merged, schema)
    changed, removed = _own(changed, subresource, status), _own(removed, subresource, status)
    others = _yield(others, changed, removed, force)
    if not changed and not removed:
        # who only says what is there already has not written at any time
        me = replace(me, time=mine.time if mine is not None else "")
    kept = [*others, me] if named else others
    return _stored(merged, kept)


def only_times_differ(new: Object, old: Object) -> bool:
    """Whether nothing but the times in managedFields changes: what an applied configuration says in other words than
    the stored object (`stringData`, "1000m") is no change once it has been brought into form."""
    mine, theirs = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not mine or not theirs or len(mine) != len(theirs):
        return False
    return _without_managers(new) == _without_managers(old) and _without_times(mine) == _without_times(theirs)


def _without_managers(obj: Object) -> Object:
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name != "managedFields"}}


def _without_times(entries: list[Object]) -> list[Object]:
    return [{name: value for name, value in entry.items() if name != "time"} for entry in entries]


def _effective(applied: Object, subresource: str, status: bool) -> Object:
    """What of the configuration counts on this (sub)resource, without what names the object."""
    wanted = {name: value for name, value in applied.items() if status or subresource or name != "status"}
    if subresource == "status":
        wanted = {name: value for name, value in applied.items() if name in ("apiVersion", "kind", "status")}
    metadata = wanted.get("metadata")
    if metadata and "managedFields" in metadata:
        wanted["metadata"] = {name: value for name, value in metadata.items() if name != "managedFields"}
    return wanted


def _own(fields: FieldSet, subresource: str, status: bool) -> FieldSet:
    """Without the fields that nobody can own through this (sub)resource."""
    if subresource == "status":
        return {"f:status": fields["f:status"]} if "f:status" in fields else {}
    ignored = ("f:apiVersion", "f:kind") if subresource or status else ("f:apiVersion", "f:kind", "f:status")
    return _without_server_metadata({element: child for element, child in fields.items() if element not in ignored})


def _without_server_metadata(fields: FieldSet) -> FieldSet:
    metadata = fields.get("f:metadata")
    if metadata is None:
        return fields
    kept = {element: child for element, child in metadata.items() if element not in _SERVER_METADATA}
    result = {element: child for element, child in fields.items() if element != "f:metadata"}
    return result | ({"f:metadata": kept} if kept else {})


def _before_first_apply(live: Object, schema: Schema) -> Manager:
    """The owner of everything in an object that was stored before anybody kept books."""
    changed, _ = walks.compare(_empty(live, schema), live, schema)
    return Manager("before-first-apply", "Update", live["apiVersion"], "", "", _own(changed, "", True))


def _prune(merged: Object, schema: Schema, last: FieldSet, managers: Iterable[Manager]) -> Object:
    gone = sets.difference(last, next(iter(managers)).fields)
    if not gone:
        return merged
    kept = _IDENTITY
    for manager in managers:
        kept = sets.union(kept, manager.fields)
    rest: Object = walks.remove(merged, schema, last, kept)
    return rest


def _yield(managers: Iterable[Manager], changed: FieldSet, removed: FieldSet, force: bool) -> list[Manager]:
    """The other managers after the change: they lose what changed or went. Raises ApplyConflict unless forced."""
    managers = list(managers)
    if not changed and not removed:
        return managers
    conflicts: list[Conflict] = []
    kept: list[Manager] = []
    for manager in managers:
        contested = sets.intersection(manager.fields, changed)
        shown = describe_manager(manager.entry()) if contested else ""
        conflicts += [Conflict(shown, path) for path in sets.paths(contested)]
        rest = sets.difference(sets.difference(manager.fields, contested), removed)
        if rest == manager.fields:
            kept.append(manager)
        elif rest:
            kept.append(replace(manager, fields=rest))
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    return kept


def update_managers(
    old: Object | None,
    new: Object,
    manager: str,
    operation: str = "Update",
    subresource: str = "",
    *,
    schema: Schema,
    now: datetime,
) -> Object:
    """`new` with managedFields that say who changed what since `old`. Returns `new` itself when its list is right.

    A client may send managedFields of its own with the main resource; a single empty entry resets them.
    """
    sent = objects.metadata(new).get("managedFields")
    if sent == [{}]:
        managers: list[Manager] = []
    else:
        managers = [] if subresource else _read(new)
        if not any(item.fields for item in managers):
            managers = _read(old or {})
    changed, removed = walks.compare(old or _empty(new, schema), new, schema)
    changed, removed = _own(changed, "", True), _own(removed, "", True)
    me = Manager(manager, operation, new.get("apiVersion", ""), subresource, objects.timestamp(now), changed)
    mine = next((item for item in managers if item.identity == me.identity), None)
    kept = _yield([item for item in managers if item is not mine], changed, removed, force=True)
    if mine is not None:
        fields = sets.union(sets.difference(mine.fields, removed), changed)
        me = replace(me, fields=fields, time=me.time if changed else mine.time)
    if me.fields:
        kept.append(me)
    return _stored(new, _capped(kept))


def _empty(obj: Object, schema: Schema) -> Object:
    """What a new object is compared with: for builtin kinds the object that has every field which is always written.
    Nobody adds those."""
    return {} if schema.raw else emptiness.of(obj)


def _capped(managers: list[Manager]) -> list[Manager]:
    """At most MAX_UPDATERS entries of operation Update: the oldest are joined."""
    updaters = sorted((item for item in managers if item.operation == "Update"), key=lambda item: item.time)
    surplus = updaters[: len(updaters) - MAX_UPDATERS + 1] if len(updaters) > MAX_UPDATERS else []
    if not surplus:
        return managers
    joined: dict[tuple[str, str], Manager] = {}
    for item in surplus:
        key = (item.api_version, item.subresource)
        former = joined.get(key)
        fields = sets.union(former.fields, item.fields) if former else item.fields
        joined[key] = replace(item, name="ancient-changes", fields=fields)
    return [item for item in managers if item not in surplus] + list(joined.values())


def _read(obj: Mapping[str, Any]) -> list[Manager]:
    return [
        Manager(
            item.get("manager", ""),
            item.get("operation", ""),
            item.get("apiVersion", ""),
            item.get("subresource", ""),
            item.get("time", ""),
            item.get("fieldsV1") or LEAF,
        )
        for item in objects.metadata(obj).get("managedFields") or ()
    ]


def _stored(obj: Object, managers: list[Manager]) -> Object:
    """The object with its managedFields in the server's order; `obj` itself when they stand there already."""
    managers.sort(key=lambda item: (item.operation, item.time, item.name, item.api_version, item.subresource))
    present = objects.metadata(obj).get("managedFields")
    if present is not None and _read(obj) == managers:
        return obj
    entries = [item.entry() for item in managers]
    metadata = {name: value for name, value in objects.metadata(obj).items() if name != "managedFields"}
    if entries:
        metadata["managedFields"] = entries
    elif present is None:
        return obj
    return {**obj, "metadata": metadata}
