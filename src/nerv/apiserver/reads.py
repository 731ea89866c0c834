"""GET, LIST and WATCH: stored bytes go out as they are; lists are joined bytes, kept until the resource changes."""

from __future__ import annotations

import base64
import binascii
import gzip
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from nerv.apiserver import conversion, representation, watches
from nerv.apiserver.context import Context
from nerv.apiserver.registry import Served
from nerv.apiserver.representation import Shape
from nerv.apiserver.requests import Call
from nerv.apiserver.store import Entry, Store
from nerv.http.messages import Request, Response, Stream
from nerv.kube import errors, fields, selectors

_KEPT_LIMITS = (0, 500)
"""Whole lists, and the pages that kubectl and client-go ask for; other limits would fill the memory one by one."""
_COMPRESSED_FROM = 128 << 10
"""As kube-apiserver (APIResponseCompression); Go's clients ask for it always."""
_GZIP = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
_MATCHES = ("Exact", "NotOlderThan", "")


def get(context: Context, served: Served, call: Call) -> Response:
    """One object. Raises errors.NotFound."""
    entry = require(context.store, served, call)
    shape = representation.negotiate(served, call.request, context.now)
    return Response(200, shape.object(entry.raw), shape.content_type)


async def get_converted(context: Context, served: Served, call: Call) -> Response:
    """`get` where a webhook converts."""
    entry = require(context.store, served, call)
    shape = representation.negotiate(served, call.request, context.now)
    return Response(200, shape.object((await shown(context, served, [entry.raw]))[0]), shape.content_type)


async def list_converted(context: Context, served: Served, call: Call) -> Response:
    """`list_objects` where a webhook converts; in one piece."""
    chosen = choice(served, call)
    shape = representation.negotiate(served, call.request, context.now)
    entries = [entry for entry in context.store.entries(served.key, chosen.namespace) if chosen.matches(entry)]
    version = str(context.store.version)
    items = await shown(context, served, [entry.raw for entry in entries])
    return Response(200, shape.list(items, version, "", 0), shape.content_type)


async def shown(context: Context, served: Served, stored: Sequence[bytes]) -> list[bytes]:
    """Stored objects in the served version, asking the webhook once for those of another version."""
    wanted = served.resource.api_version
    other = [index for index, raw in enumerate(stored) if conversion.stored_version(raw) != wanted]
    result = list(stored)
    if other and conversion.by_webhook(served):
        converted = await context.convert(served, [orjson.loads(stored[index]) for index in other], wanted)
        for index, obj in zip(other, converted, strict=True):
            result[index] = orjson.dumps(obj)
    return result


def require(store: Store, served: Served, call: Call) -> Entry:
    """The addressed object. Raises errors.NotFound."""
    target = call.target
    namespace = target.namespace if served.resource.namespaced else ""
    entry = store.get(served.key, namespace, target.name)
    if entry is None:
        raise served.not_found(target.name)
    return entry


def list_objects(context: Context, served: Served, call: Call) -> Response:
    """A list, whole or in pages."""
    _check_match(call.request)
    chosen = choice(served, call)
    store = context.store
    shape = representation.negotiate(served, call.request, context.now)
    limit = _number(call.request.param("limit"), "limit")
    token = call.request.param("continue")
    if shape.lasting and not token and chosen.everything and limit in _KEPT_LIMITS:
        # whole lists and first pages (kubectl asks for 500) are the same for everybody until something changes
        cache = store.lists(served.key)
        place = (shape.key, chosen.namespace, limit)
        body = cache.get(place)
        if body is None:
            body = cache[place] = _page(store, served, chosen, shape, limit, "")
        elif len(body) > _COMPRESSED_FROM and _takes_gzip(call.request):
            # from its second reader on: a list that changes between any two is not worth the time
            return Response(200, _compressed(cache, (*place, "gzip"), body), shape.content_type, _GZIP)
        return Response(200, body, shape.content_type)
    return Response(200, _page(store, served, chosen, shape, limit, token), shape.content_type)


def _takes_gzip(request: Request) -> bool:
    """Whether gzip is named without more, as kube-apiserver asks: `gzip;q=0` refuses it."""
    return "gzip" in (part.strip() for part in request.headers.get("accept-encoding", "").split(","))


def _compressed(cache: dict[object, bytes], place: object, body: bytes) -> bytes:
    found = cache.get(place)
    if found is None:
        found = cache[place] = gzip.compress(body, 1, mtime=0)
    return found


class _Token(NamedTuple):
    version: int
    namespace: str
    name: str


def _page(store: Store, served: Served, chosen: watches.Choice, shape: Shape, limit: int, token: str) -> bytes:
    """Pages after the first are of the newest state but carry the first page's version: a watch from there misses
    nothing."""
    entries = [entry for entry in store.entries(served.key, chosen.namespace) if chosen.matches(entry)]
    version = store.version
    if token:
        start = _decode(token)
        version = start.version
        entries = [entry for entry in entries if (entry.namespace, entry.name) > (start.namespace, start.name)]
    following, remaining = "", 0
    if limit and len(entries) > limit:
        remaining = len(entries) - limit
        entries = entries[:limit]
        following = _encode(_Token(version, entries[-1].namespace, entries[-1].name))
    return shape.list([entry.raw for entry in entries], str(version), following, remaining if chosen.everything else 0)


def _encode(token: _Token) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([*token])).decode().rstrip("=")


def _decode(text: str) -> _Token:
    try:
        return _Token(*orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
    except (binascii.Error, orjson.JSONDecodeError, TypeError):
        raise errors.BadRequest("continue key is not valid: it does not come from this server") from None


def watch(context: Context, served: Served, call: Call) -> Stream:
    """A stream of changes. Raises errors.Gone."""
    request = call.request
    chosen = choice(served, call)
    shape = representation.negotiate(served, request, context.now)
    initial = request.param("sendInitialEvents") in ("true", "1")
    _check_match(request, initial=initial)
    since = _number(request.param("resourceVersion"), "resourceVersion") or None
    bookmarks = request.param("allowWatchBookmarks") in ("true", "1")
    timeout = _number(request.param("timeoutSeconds"), "timeoutSeconds")
    form = watches.Form(shape.key, shape.event, shape.bookmark)
    return watches.stream(
        context.store,
        watches.Watch(served.key, chosen, form, None if initial else since, initial, bookmarks, float(timeout)),
    )


def choice(served: Served, call: Call) -> watches.Choice:
    """What the selectors, namespace and name of a request choose. Raises errors.BadRequest."""
    request, target = call.request, call.target
    try:
        labels = selectors.parse_label(request.param("labelSelector"))
        fields = selectors.parse_field(request.param("fieldSelector"))
    except ValueError as error:
        raise errors.BadRequest(str(error)) from None
    representation.check_fields(served, fields)
    if target.name:
        fields = selectors.FieldSelector((*fields.terms, selectors.FieldTerm("metadata.name", target.name)))
    return watches.Choice(target.namespace if served.resource.namespaced else "", labels, fields)


def _number(text: str, name: str) -> int:
    if not text:
        return 0
    try:
        return max(int(text), 0)
    except ValueError:
        quoted = fields.show(text)
        if name == "resourceVersion":
            why = f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        else:
            why = f"strconv.ParseInt: parsing {quoted}: invalid syntax"
        raise errors.BadRequest(why) from None


def _check_match(request: Request, *, initial: bool = False) -> None:
    """Raises errors.Invalid for a resourceVersionMatch that is none, or that sendInitialEvents does not go with."""
    match = request.param("resourceVersionMatch")
    if initial and match != "NotOlderThan":
        wrong = fields.forbidden(
            "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    elif match not in _MATCHES:
        wrong = fields.not_supported("resourceVersionMatch", match, _MATCHES)
    else:
        return
    raise errors.invalid_options(request.method, wrong.cause())
