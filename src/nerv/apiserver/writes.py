"""Create, update and delete: shape, prepare, admit, store, and decide again when somebody was faster."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import orjson

from nerv.apiserver import bodies, conversion, deletion, metadata, shaping
from nerv.apiserver.context import Attributes, Context, Plugin
from nerv.apiserver.deletion import Options
from nerv.apiserver.registry import Served
from nerv.apiserver.requests import Call
from nerv.apiserver.store import Entry, Stale
from nerv.http.messages import Request
from nerv.kube import defaults, errors, ownership
from nerv.kube.objects import Object, clone

_TRIES = 8
_LONGEST_MANAGER = 128

Make = Callable[[Object], Object]
"""The wanted object from a private copy of the present one, both in the served version."""
MakeOrCreate = Callable[[Object | None], Object]
"""The same, from None where there is no object yet."""


@dataclass(frozen=True)
class Written:
    """What a write left behind. `raw` is in the storage version."""

    raw: bytes
    created: bool = False
    deleted: bool = False
    warnings: tuple[str, ...] = ()


async def create(context: Context, served: Served, call: Call, obj: Object, *, tracked: bool = False) -> Written:
    """Store a new object. `tracked`: its managedFields are right already. Raises errors.AlreadyExists, whatever
    admission refuses."""
    namespace = _namespace(served, call)
    metadata.adopt_namespace(served, obj, namespace)
    _check_name(served, obj)
    attributes = _attributes("CREATE", served, call, obj, None)
    _decode(served, call, attributes)
    metadata.prepare_create(served, obj, context.now())
    attributes.name = obj["metadata"]["name"]
    if context.store.head(served.key, namespace, attributes.name) is not None:
        # said before admission: a quota or a webhook must not answer for an object that exists
        raise errors.already_exists(served.resource.plural, served.resource.group, attributes.name)
    try:
        # before admission: what the server or a webhook adds is nobody's
        if not tracked:
            _track(context, attributes, call.request)
        await _admit(context, attributes)
        if not served.builtin and attributes.obj is not None:
            # the status was taken out; what is read from storage has its defaults all the same
            shaping.default(served, attributes.obj)
        return await _store(context, attributes, None)
    except BaseException:
        _undo(attributes)
        raise


async def update(context: Context, served: Served, call: Call, make: Make, *, tracked: bool = False) -> Written:
    """Change an object. Without a resourceVersion from the client it is decided again when somebody was faster.
    `tracked`: its managedFields are right already."""
    return await _retry(context, served, call, make, tracked=tracked)


async def apply(context: Context, served: Served, call: Call, make: MakeOrCreate) -> Written:
    """Server-side apply: create or change; `make` keeps the managedFields."""
    namespace = _namespace(served, call)
    if context.store.head(served.key, namespace, call.target.name) is None and not call.target.subresource:
        try:
            return await create(context, served, call, clone(make(None)), tracked=True)
        except errors.AlreadyExists:
            pass  # somebody created it meanwhile: merge with theirs
    return await _retry(context, served, call, make, tracked=True)


async def _retry(context: Context, served: Served, call: Call, make: Make, *, tracked: bool = False) -> Written:
    target = call.target
    namespace = _namespace(served, call)
    for _ in range(_TRIES):
        head = context.store.head(served.key, namespace, target.name)
        if head is None:
            raise served.not_found(target.name)
        old = await _load(context, served, head)
        obj = shaping.identify(served, make(clone(old)))
        metadata.adopt_namespace(served, obj, namespace)
        metadata.check_update(served, obj, old, target.name)
        try:
            return await _change(context, served, call, head, old, clone(obj) if tracked else obj, tracked)
        except Stale:
            continue
    raise served.conflict(target.name)


async def _change(
    context: Context, served: Served, call: Call, head: Entry, old: Object, obj: Object, tracked: bool
) -> Written:
    attributes = _attributes("UPDATE", served, call, obj, old)
    _decode(served, call, attributes)
    if call.target.subresource in ("status", "approval"):
        metadata.prepare_status(served, obj, old)
    else:
        metadata.prepare_update(served, obj, old, keep_status=call.target.subresource != "binding")
    try:
        if not tracked:
            _track(context, attributes, call.request)
        await _admit(context, attributes)
        obj = attributes.obj = attributes.obj or obj
        if deletion.finished(served, obj):
            # the answer is the object as it was last stored, without what held it
            removed = await _remove(context, attributes, head)
            obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            return replace(removed, raw=orjson.dumps(await _stored(context, served, obj)))
        obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if obj == old or ownership.only_times_differ(obj, old):
            await context.store.settled(served.key, head.namespace, head.name)
            return Written(head.raw, warnings=tuple(attributes.warnings))
        return await _store(context, attributes, head)
    except BaseException:
        _undo(attributes)
        raise


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


def _decode(served: Served, call: Call, attributes: Attributes) -> None:
    assert attributes.obj is not None
    request = call.request
    is_json = bodies.media_type(request) in ("", "application/json")
    body = request.body if is_json and request.method in ("POST", "PUT") else b""
    shaping.decode(served, attributes.obj, shaping.field_validation(request), attributes.warnings, body)


async def _admit(context: Context, attributes: Attributes) -> None:
    await _run(context, context.mutating, attributes)
    assert attributes.obj is not None
    if attributes.operation == "CREATE" and attributes.served.builtin:
        defaults.begin(attributes.obj)
    shaping.validate(attributes.served, attributes.obj, attributes.old, attributes.subresource)
    await _run(context, context.finishing, attributes)
    await _run(context, context.validating, attributes)


async def _run(context: Context, plugins: Sequence[Plugin], attributes: Attributes) -> None:
    for plugin in plugins:
        answer = plugin(context, attributes)
        if inspect.isawaitable(answer):
            await answer


def _track(context: Context, attributes: Attributes, request: Request) -> None:
    """Write down who owns the changed fields."""
    served = attributes.served
    if served.schema is None or attributes.obj is None:
        return
    attributes.obj = ownership.update_managers(
        attributes.old,
        attributes.obj,
        field_manager(request),
        "Update",
        attributes.subresource,
        schema=served.schema,
        now=context.now(),
    )


def field_manager(request: Request) -> str:
    """Who writes: as the client says, else the first word of its user agent."""
    given = request.param("fieldManager") or request.headers.get("user-agent", "").partition("/")[0]
    return (given or "unknown")[:_LONGEST_MANAGER]


async def _load(context: Context, served: Served, head: Entry) -> Object:
    """The stored object in the served version."""
    obj = head.load()
    if obj.get("apiVersion") == served.resource.api_version:
        return obj
    if conversion.by_webhook(served):
        return (await context.convert(served, [obj], served.resource.api_version))[0]
    return conversion.recast(obj, served.resource.api_version)


async def _stored(context: Context, served: Served, obj: Object) -> Object:
    """The object in the storage version."""
    if obj.get("apiVersion") == served.storage_api_version:
        return obj
    if conversion.by_webhook(served):
        return (await context.convert(served, [obj], served.storage_api_version))[0]
    return conversion.recast(obj, served.storage_api_version)


async def _store(context: Context, attributes: Attributes, head: Entry | None) -> Written:
    assert attributes.obj is not None
    obj = await _stored(context, attributes.served, attributes.obj)
    warnings = tuple(attributes.warnings)
    if attributes.dry_run:
        _undo(attributes)
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
    obj = await _stored(context, attributes.served, attributes.obj)
    entry = await context.store.remove(attributes.key, obj, head)
    return Written(entry.raw, deleted=True, warnings=tuple(attributes.warnings))


def _undo(attributes: Attributes) -> None:
    """Give back what admission reserved."""
    while attributes.undo:
        attributes.undo.pop()()


def _attributes(
    operation: str, served: Served, call: Call, obj: Object | None, old: Object | None, dry_run: bool = False
) -> Attributes:
    target = call.target
    name = target.name or (obj["metadata"].get("name", "") if obj else "")
    deprecation = served.definition.deprecation if served.definition else ""
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
        warnings=[deprecation] if deprecation else [],
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
