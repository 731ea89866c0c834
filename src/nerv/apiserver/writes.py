"""Create, update and delete: prepare, admit, store, and decide again when somebody was faster."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from nerv.apiserver import deletion, metadata
from nerv.apiserver.context import Attributes, Context, Plugin
from nerv.apiserver.deletion import Options
from nerv.apiserver.registry import Served
from nerv.apiserver.requests import Call
from nerv.apiserver.store import Entry, Stale
from nerv.kube import errors
from nerv.kube.objects import Object, clone

_TRIES = 8

Make = Callable[[Object], Object]
"""The wanted object from a private copy of the present one."""


@dataclass(frozen=True)
class Written:
    """What a write left behind. `raw` is in the storage version."""

    raw: bytes
    created: bool = False
    deleted: bool = False
    warnings: tuple[str, ...] = ()


async def create(context: Context, served: Served, call: Call, obj: Object) -> Written:
    """Store a new object. Raises errors.AlreadyExists, whatever admission refuses."""
    namespace = _namespace(served, call)
    metadata.adopt_namespace(served, obj, namespace)
    _check_name(served, obj)
    metadata.prepare_create(served, obj, context.now())
    attributes = _attributes("CREATE", served, call, obj, None)
    await _admit(context, attributes)
    name = obj["metadata"]["name"]
    if context.store.head(served.key, namespace, name) is not None:
        raise errors.already_exists(served.resource.plural, served.resource.group, name)
    return await _store(context, attributes, None)


async def update(context: Context, served: Served, call: Call, make: Make) -> Written:
    """Change an object. Without a resourceVersion from the client it is decided again when somebody was faster."""
    target = call.target
    namespace = _namespace(served, call)
    for _ in range(_TRIES):
        head = context.store.head(served.key, namespace, target.name)
        if head is None:
            raise served.not_found(target.name)
        old = head.load()
        obj = make(clone(old))
        metadata.adopt_namespace(served, obj, namespace)
        metadata.check_update(served, obj, old, target.name)
        try:
            return await _change(context, served, call, head, old, obj)
        except Stale:
            continue
    raise served.conflict(target.name)


async def _change(context: Context, served: Served, call: Call, head: Entry, old: Object, obj: Object) -> Written:
    subresource = call.target.subresource
    if subresource == "status":
        metadata.prepare_status(served, obj, old)
    else:
        metadata.prepare_update(served, obj, old)
    attributes = _attributes("UPDATE", served, call, obj, old)
    await _admit(context, attributes)
    if deletion.finished(served, obj):
        return await _remove(context, attributes, head)
    obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    if obj == old:
        await context.store.settled(served.key, head.namespace, head.name)
        return Written(head.raw, warnings=tuple(attributes.warnings))
    return await _store(context, attributes, head)


async def delete(context: Context, served: Served, call: Call, name: str, options: Options) -> Written:
    """Delete an object, or mark it. Raises errors.NotFound, errors.Conflict, whatever admission refuses."""
    namespace = _namespace(served, call)
    for _ in range(_TRIES):
        head = context.store.head(served.key, namespace, name)
        if head is None:
            raise served.not_found(name)
        old = head.load()
        deletion.check(served, old, options)
        attributes = _attributes("DELETE", served, call, None, old, options.dry_run)
        attributes.name = name
        await _run(context, context.validating, attributes)
        obj = clone(old)
        remove = deletion.begin(served, obj, options, context.now())
        attributes.obj = obj
        try:
            if remove:
                return await _remove(context, attributes, head)
            if obj == old:
                await context.store.settled(served.key, head.namespace, head.name)
                return Written(head.raw)
            return await _store(context, attributes, head)
        except Stale:
            continue
    raise served.conflict(name)


async def _admit(context: Context, attributes: Attributes) -> None:
    await _run(context, context.mutating, attributes)
    await _run(context, context.validating, attributes)


async def _run(context: Context, plugins: Sequence[Plugin], attributes: Attributes) -> None:
    for plugin in plugins:
        answer = plugin(context, attributes)
        if inspect.isawaitable(answer):
            await answer


async def _store(context: Context, attributes: Attributes, head: Entry | None) -> Written:
    obj = attributes.obj
    assert obj is not None
    warnings = tuple(attributes.warnings)
    if attributes.dry_run:
        return Written(orjson.dumps(obj), created=head is None, warnings=warnings)
    try:
        entry = await context.store.put(attributes.key, obj, head)
    except Stale:
        if head is None:
            resource = attributes.served.resource
            raise errors.already_exists(resource.plural, resource.group, obj["metadata"]["name"]) from None
        raise
    return Written(entry.raw, created=head is None, warnings=warnings)


async def _remove(context: Context, attributes: Attributes, head: Entry) -> Written:
    assert attributes.obj is not None
    if attributes.dry_run:
        return Written(head.raw, deleted=True)
    entry = await context.store.remove(attributes.key, attributes.obj, head)
    return Written(entry.raw, deleted=True, warnings=tuple(attributes.warnings))


def _attributes(
    operation: str, served: Served, call: Call, obj: Object | None, old: Object | None, dry_run: bool = False
) -> Attributes:
    target = call.target
    name = target.name or (obj["metadata"].get("name", "") if obj else "")
    return Attributes(
        operation,
        served,
        _namespace(served, call),
        name,
        target.subresource,
        obj,
        old,
        call.user,
        dry_run or call.dry_run,
    )


def _namespace(served: Served, call: Call) -> str:
    return call.target.namespace if served.resource.namespaced else ""


def _check_name(served: Served, obj: Object) -> None:
    meta = obj["metadata"]
    if not meta.get("name") and not meta.get("generateName"):
        kind, group = served.resource.kind, served.resource.group
        message = "Required value: name or generateName is required"
        cause = {"reason": "FieldValueRequired", "message": message, "field": "metadata.name"}
        raise errors.invalid(kind, group, "", [cause])
