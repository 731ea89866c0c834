"""PATCH: four media types, each a way from the present object to the wanted one."""

from __future__ import annotations

from collections.abc import Callable

from nerv.apiserver import bodies, writes
from nerv.apiserver.context import Context
from nerv.apiserver.registry import Served
from nerv.apiserver.requests import Call
from nerv.apiserver.writes import Written
from nerv.http.messages import Request
from nerv.kube import errors, fields, ownership, patches
from nerv.kube.objects import Object, split_api_version

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


async def patch(context: Context, served: Served, call: Call) -> Written:
    """Apply the patch of a request. Raises errors.ApiError."""
    kind = bodies.media_type(call.request)
    if kind in (APPLY, "application/apply-patch+cbor"):
        return await _apply(context, served, call)
    change = _change(served, kind, call.request)

    def make(old: Object) -> Object:
        try:
            obj = change(old)
        except patches.DoesNotApply:
            # about the object's state: 422, and the real server does not say more
            raise errors.Invalid("the server rejected our request due to an error in our request", {}) from None
        except patches.PatchError as error:
            raise errors.BadRequest(str(error)) from None
        meta = obj.get("metadata") or {}
        name = meta.get("name", "") if isinstance(meta, dict) else call.target.name
        if name != call.target.name:
            raise errors.BadRequest(
                f"the name of the object ({name}) does not match the name on the URL ({call.target.name})"
            )
        return obj

    return await writes.update(context, served, call, make)


def change_of(served: Served, call: Call) -> Callable[[Object], Object]:
    """The change that a patch request describes, for parts of objects such as Scale. Raises errors.ApiError."""
    return _change(served, bodies.media_type(call.request), call.request)


def _change(served: Served, kind: str, request: Request) -> Callable[[Object], Object]:
    accepted = (JSON, MERGE, APPLY, STRATEGIC) if served.builtin else (JSON, MERGE, APPLY)
    if kind not in (JSON, MERGE, APPLY, STRATEGIC):
        raise errors.UnsupportedMedia("415: Unsupported Media Type", {})
    if kind not in accepted:
        raise errors.UnsupportedMedia(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
        )
    body = bodies.patch(request)
    if kind == JSON:
        return lambda old: patches.json_patch(old, body)
    if not isinstance(body, dict):
        raise errors.BadRequest("the patch is no object")
    if kind == MERGE:
        return lambda old: dict(patches.merge_patch(old, body))
    schema = served.schema
    if schema is None:
        raise errors.UnsupportedMedia(f"{served.resource.qualified} cannot be patched")
    return lambda old: patches.strategic_merge(old, body, schema)


async def _apply(context: Context, served: Served, call: Call) -> Written:
    request, target = call.request, call.target
    applied = bodies.decode(request)
    manager = request.param("fieldManager")
    if not manager:
        wrong = fields.required("fieldManager", "is required for apply patch")
        raise errors.invalid_options("PATCH", wrong.cause())
    force = request.param("force") in ("true", "1")
    _check_identity(served, target.name, applied)
    if served.schema is None:
        raise errors.UnsupportedMedia(f"{served.resource.qualified} cannot be applied")
    schema = served.schema

    def make(live: Object | None) -> Object:
        uid = applied["metadata"].get("uid")
        if live is None and uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise served.conflict(target.name, why)
        try:
            return ownership.apply(
                live,
                applied,
                manager,
                force,
                schema,
                context.now(),
                subresource=target.subresource,
                has_status=served.has_status,
            )
        except ownership.ApplyConflict as conflict:
            details = {"causes": conflict.causes()}
            raise errors.Conflict(str(conflict), details) from None
        except ownership.SchemaMismatch as mismatch:
            raise errors.InternalError(str(mismatch), reason="") from None

    return await writes.apply(context, served, call, make)


def _check_identity(served: Served, name: str, applied: Object) -> None:
    """An applied configuration names what it is. Raises errors.BadRequest."""
    resource = served.resource
    group, version = split_api_version(str(applied.get("apiVersion") or ""))
    if not version or not applied.get("kind"):
        raise errors.BadRequest(f"invalid object type: {group}/{version}, Kind={applied.get('kind', '')}")
    if applied.get("apiVersion") != resource.api_version or applied.get("kind") != resource.kind:
        raise errors.BadRequest(
            f"the applied object is a {applied.get('apiVersion', '')} {applied.get('kind', '')}, "
            f"the path is that of {resource.api_version} {resource.kind}"
        )
    meta = applied.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise errors.BadRequest("the object provided is unrecognized: metadata is no object")
    if meta.setdefault("name", name) != name:
        raise errors.BadRequest(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    if meta.get("managedFields"):
        raise errors.BadRequest("metadata.managedFields must be nil")
