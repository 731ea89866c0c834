"""The one client of the Kubernetes API. How requests travel is the transport's matter: TLS, or calls in one process.

    async with aclosing(client.watch(PODS)) as events:
        async for event in events: ...

Every failure is an `nerv.kube.errors.ApiError`. Objects are plain dictionaries that belong to the caller.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from nerv.kube import errors, resources
from nerv.kube.objects import Object, name, namespace, split_api_version
from nerv.kube.resources import Resource, Subresource

_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


@dataclass(frozen=True)
class RawResponse:
    """An answer as it came. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """How requests reach a server. `path` carries the query."""

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> RawResponse:
        """One exchange. Raises errors.Unreachable."""
        ...

    def stream(self, path: str, headers: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The lines of an endless answer to GET, without line ends. Raises errors.ApiError."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True)
class ObjectList:
    """What a list held, and the version from which a watch goes on without a gap."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


@dataclass
class _Kinds:
    """What discovery said, by apiVersion."""

    known: dict[str, dict[str, Resource]] = field(default_factory=dict)


class Client:
    """Speaks for one identity (that of its transport). `field_manager` is the default owner of written fields."""

    def __init__(self, transport: Transport, *, user_agent: str = "nerv", field_manager: str = "nerv") -> None:
        self._transport = transport
        self._user_agent = user_agent
        self._field_manager = field_manager
        self._kinds = _Kinds()

    def named(self, field_manager: str) -> Client:
        """The same connection and identity under another field manager; discovery is shared."""
        other = Client(self._transport, user_agent=field_manager, field_manager=field_manager)
        other._kinds = self._kinds
        return other

    async def close(self) -> None:
        """Release the transport."""
        await self._transport.close()

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        """One object. Raises errors.NotFound."""
        return await self._call("GET", resources.path(resource, namespace, name, subresource))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList:
        """Every object of a namespace, or of all. Items carry apiVersion and kind."""
        answer = await self._call(
            "GET", resources.path(resource, namespace), _selectors(label_selector, field_selector)
        )
        items: list[Object] = answer.get("items") or []
        for item in items:
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        return ObjectList(items, answer["metadata"].get("resourceVersion", ""))

    async def create(
        self,
        resource: Resource,
        obj: Object,
        *,
        namespace: str | None = None,
        name: str = "",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Object:
        """Create an object (or, with `name` and `subresource`, post to a subresource such as `token`, `binding`)."""
        space = namespace or _namespace(obj)
        path = resources.path(resource, space, name or None, subresource)
        return await self._call("POST", path, self._write(dry_run, field_manager), obj)

    async def replace(
        self,
        resource: Resource,
        obj: Object,
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Object:
        """PUT. With a resourceVersion in `obj` it fails with errors.Conflict when someone else was faster."""
        path = resources.path(resource, _namespace(obj), name(obj), subresource)
        return await self._call("PUT", path, self._write(dry_run, field_manager), obj)

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        patch: Object | Sequence[Object],
        *,
        type: str = "merge",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Object:
        """`type` is merge, json or strategic."""
        path = resources.path(resource, namespace, name, subresource)
        query = self._write(dry_run, field_manager)
        return await self._call("PATCH", path, query, patch, _PATCH_TYPES[type])

    async def apply(
        self,
        resource: Resource,
        obj: Object,
        *,
        field_manager: str | None = None,
        force: bool = True,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Object:
        """Server-side apply. Raises errors.Conflict with one cause per field when not forced."""
        path = resources.path(resource, _namespace(obj), name(obj), subresource)
        query = {**self._write(dry_run, field_manager), "force": "true" if force else "false"}
        return await self._call("PATCH", path, query, obj, _PATCH_TYPES["apply"])

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Delete one object; `uid` and `resource_version` are preconditions. Returns the object or a Status."""
        options = _delete_options(propagation, uid, resource_version, grace_period, dry_run)
        return await self._call("DELETE", resources.path(resource, namespace, name), None, options)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: str = "Background",
        grace_period: int | None = None,
    ) -> Object:
        """Delete all objects that the selectors choose."""
        options = _delete_options(propagation, None, None, grace_period, False)
        query = _selectors(label_selector, field_selector)
        return await self._call("DELETE", resources.path(resource, namespace), query, options)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
        initial_events: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after `resource_version`, until the server ends the stream. Raises errors.Gone when it is too old.

        With `initial_events` the present objects come first, ended by a bookmark that carries the annotation
        `k8s.io/initial-events-end`.
        """
        query = {**_selectors(label_selector, field_selector), "watch": "true"}
        if bookmarks or initial_events:
            query["allowWatchBookmarks"] = "true"
        if initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        if resource_version is not None:
            query["resourceVersion"] = resource_version
        path = f"{resources.path(resource, namespace)}?{urlencode(query)}"
        async with aclosing(self._transport.stream(path, self._headers())) as lines:
            async for line in lines:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise errors.from_status(event["object"])
                yield WatchEvent(event["type"], event["object"])

    def log(self, pod: str, namespace: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The lines that a container has written; endless with `follow`. Raises errors.ApiError."""
        path = resources.path(resources.PODS, namespace, pod, "log")
        return self._transport.stream(f"{path}?{urlencode(query)}", {**self._headers(), "accept": "*/*"})

    async def resource_for(self, api_version: str, kind: str) -> Resource:
        """What serves a kind, builtin or custom. Asks discovery again for what it does not know.

        Raises errors.NoMatch with kubectl's and Flux's wording.
        """
        found = self._kinds.known.get(api_version, {}).get(kind)
        if found is None:
            self._kinds.known[api_version] = await self._discover(api_version)
            found = self._kinds.known[api_version].get(kind)
        if found is None:
            raise errors.NoMatch(f'no matches for kind "{kind}" in version "{api_version}"')
        return found

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        content_type: str = "application/json",
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Any request; the answer is not looked at. Raises errors.Unreachable only."""
        sent = self._headers() | {"accept": accept} | dict(headers or {})
        if body:
            sent["content-type"] = content_type
        return await self._transport.request(method, f"{path}?{urlencode(query)}" if query else path, sent, body)

    def lines(self, path: str) -> AsyncGenerator[bytes, None]:
        """The lines of a stream, whatever they are. Raises errors.ApiError."""
        return self._transport.stream(path, self._headers())

    async def _discover(self, api_version: str) -> dict[str, Resource]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            answer = await self._call("GET", path)
        except errors.NotFound:
            return {}
        return _resources(api_version, answer)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        headers = self._headers()
        data = b""
        if body is not None:
            data = orjson.dumps(body)
            headers["content-type"] = content_type
        answer = await self._transport.request(method, f"{path}?{urlencode(query)}" if query else path, headers, data)
        return _checked(method, path, answer)

    def _headers(self) -> dict[str, str]:
        return {"accept": "application/json", "user-agent": self._user_agent}

    def _write(self, dry_run: bool, field_manager: str | None) -> dict[str, str]:
        query = {"fieldManager": field_manager or self._field_manager}
        if dry_run:
            query["dryRun"] = "All"
        return query


def _namespace(obj: Object) -> str | None:
    return namespace(obj) or None


def _checked(method: str, path: str, answer: RawResponse) -> Object:
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        text = answer.body.decode("utf-8", "replace").strip().splitlines()
        message = f"{method} {path}: HTTP {answer.status}: {text[0] if text else 'no body'}"
        raise errors.from_status({"code": answer.status, "message": message}) from None
    if not isinstance(value, dict):
        raise errors.from_status({"code": answer.status, "message": f"{method} {path}: the answer is no object"})
    if answer.status >= 400:
        raise errors.from_status({"code": answer.status, **value})
    return value


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {}
    if label_selector:
        query["labelSelector"] = label_selector
    if field_selector:
        query["fieldSelector"] = field_selector
    return query


def _delete_options(
    propagation: str, uid: str | None, resource_version: str | None, grace_period: int | None, dry_run: bool
) -> Object:
    options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    if any(preconditions.values()):
        options["preconditions"] = {key: value for key, value in preconditions.items() if value}
    if grace_period is not None:
        options["gracePeriodSeconds"] = grace_period
    if dry_run:
        options["dryRun"] = ["All"]
    return options


def _resources(api_version: str, answer: Object) -> dict[str, Resource]:
    """Of an APIResourceList, by kind."""
    group, version = split_api_version(api_version)
    listed = answer.get("resources") or []
    found = {}
    for item in listed:
        if "/" in item["name"]:
            continue
        prefix = item["name"] + "/"
        parts = tuple(
            Subresource(
                part["name"].removeprefix(prefix),
                tuple(part["verbs"]),
                part["kind"] if part["kind"] != item["kind"] else "",
                part.get("group", ""),
                part.get("version", ""),
            )
            for part in listed
            if part["name"].startswith(prefix)
        )
        found[item["kind"]] = Resource(
            group,
            version,
            item["name"],
            item["kind"],
            item["namespaced"],
            item.get("singularName", ""),
            tuple(item.get("shortNames") or ()),
            tuple(item.get("categories") or ()),
            tuple(item["verbs"]),
            parts,
        )
    return found
