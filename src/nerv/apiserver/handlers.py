"""From a resource request to its answer: one explicit table of verbs and subresources."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

import orjson

from nerv.apiserver import bodies, conversion, deletion, patching, reads, representation, shaping, subresources, writes
from nerv.apiserver.context import Context
from nerv.apiserver.registry import Served
from nerv.apiserver.requests import Call
from nerv.apiserver.writes import Written
from nerv.http.messages import Answer, Response
from nerv.kube import errors
from nerv.kube.objects import Object, timestamp


def resource(context: Context, call: Call) -> Answer | Awaitable[Answer]:
    """Answer a request for a resource. Raises errors.ApiError."""
    target = call.target
    served = context.registry.require(target.group, target.version, target.plural)
    if served.resource.namespaced and not target.namespace and target.verb not in ("list", "watch"):
        raise errors.NotFound("the server could not find the requested resource", {})
    if target.subresource:
        return _subresource(context, served, call)
    if target.verb not in served.resource.verbs:
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource", {})
    if (target.verb in ("update", "patch") and not target.name) or (target.verb == "create" and target.name):
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource", {})
    converted = conversion.by_webhook(served)
    match target.verb:
        case "get":
            return reads.get_converted(context, served, call) if converted else reads.get(context, served, call)
        case "list":
            if converted:
                return reads.list_converted(context, served, call)
            return reads.list_objects(context, served, call)
        case "watch":
            return reads.watch(context, served, call)
        case "create":
            return _create(context, served, call)
        case "update":
            return _update(context, served, call)
        case "patch":
            return _patch(context, served, call)
        case "delete":
            return _delete(context, served, call)
        case _:
            return _delete_collection(context, served, call)


def _subresource(context: Context, served: Served, call: Call) -> Answer | Awaitable[Answer]:
    target = call.target
    subresource = served.resource.subresource(target.subresource)
    if subresource is None:
        raise errors.NotFound("the server could not find the requested resource", {})
    if target.verb not in subresource.verbs:
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource", {})
    if target.subresource in ("status", "finalize", "approval", "ephemeralcontainers"):
        match target.verb:
            case "get":
                return reads.get(context, served, call)
            case "update":
                return _update(context, served, call)
            case _:
                return _patch(context, served, call)
    match target.subresource:
        case "log" | "exec" | "attach" | "portforward" | "proxy":
            return context.proxy.answer(call)
        case "scale":
            return subresources.scale(context, served, call)
        case "binding":
            return subresources.bind(context, served, call)
        case "eviction":
            return subresources.evict(context, served, call)
        case "token":
            return subresources.token(context, served, call)
        case _:
            raise errors.NotFound("the server could not find the requested resource", {})


async def _create(context: Context, served: Served, call: Call) -> Answer:
    obj = shaping.identify(served, bodies.decode(call.request, served.resource.kind))
    if not served.stored:
        return await _ask(context, served, call, obj)
    return await _answer(context, served, call, await writes.create(context, served, call, obj))


async def _ask(context: Context, served: Served, call: Call, obj: Object) -> Answer:
    """What is answered and not stored."""
    target = call.target
    shaping.decode(served, obj, shaping.field_validation(call.request), [])
    if served.resource.plural == "bindings":
        pods = context.registry.require("", "v1", "pods")
        name = obj["metadata"].get("name", "")
        return await subresources.bind(
            context, pods, Call(call.request, call.user, target._replace(name=name, subresource="binding"))
        )
    review = context.reviews.answer(served.resource, obj, call.user, target.namespace)
    if review is None:
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource", {})
    made = timestamp(context.now()) if served.resource.plural == "selfsubjectreviews" else None
    review["metadata"].setdefault("creationTimestamp", made)
    return Response(201, orjson.dumps(review))


async def _update(context: Context, served: Served, call: Call) -> Answer:
    obj = shaping.identify(served, bodies.decode(call.request, served.resource.kind))
    name = obj["metadata"].get("name")
    if name != call.target.name:
        raise errors.BadRequest(
            f"the name of the object ({name or ''}) does not match the name on the URL ({call.target.name})"
        )
    return await _answer(context, served, call, await writes.update(context, served, call, lambda old: obj))


async def _patch(context: Context, served: Served, call: Call) -> Answer:
    return await _answer(context, served, call, await patching.patch(context, served, call))


async def _delete(context: Context, served: Served, call: Call) -> Answer:
    options = deletion.Options.of(call.request, call.dry_run)
    written = await writes.delete(context, served, call, call.target.name, options)
    if not written.deleted or served.key == "pods":
        return await _answer(context, served, call, written)
    obj = orjson.loads(written.raw)
    details: Object = {"name": call.target.name, "kind": served.resource.plural, "uid": obj["metadata"].get("uid", "")}
    if served.resource.group:
        details["group"] = served.resource.group
    return Response(200, orjson.dumps(errors.success(details)), headers=_warnings(written))


async def _delete_collection(context: Context, served: Served, call: Call) -> Answer:
    options = deletion.Options.of(call.request, call.dry_run)
    chosen = reads.choice(served, call)
    entries = [entry for entry in context.store.entries(served.key, chosen.namespace) if chosen.matches(entry)]
    for entry in entries:
        try:
            await writes.delete(context, served, _named(call, entry.namespace), entry.name, options)
        except errors.NotFound:
            continue
    shape = representation.negotiate(served, call.request, context.now)
    body = shape.list([entry.raw for entry in entries], str(context.store.version), "", 0)
    return Response(200, body, shape.content_type)


def _named(call: Call, namespace: str) -> Call:
    return Call(call.request, call.user, call.target._replace(namespace=namespace))


async def _answer(context: Context, served: Served, call: Call, written: Written) -> Response:
    shape = representation.negotiate(served, call.request, context.now)
    status = 201 if written.created else 200
    raw = (await reads.shown(context, served, [written.raw]))[0]
    return Response(status, shape.object(raw), shape.content_type, _warnings(written))


def _warnings(written: Written) -> Mapping[str, str]:
    if not written.warnings:
        return {}
    # several values share one header line, as RFC 7234 allows
    return {"Warning": ", ".join(f'299 - "{_quoted(text)}"' for text in written.warnings)}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
