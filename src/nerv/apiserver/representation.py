"""How objects look in an answer: as themselves, in another version, as a Table, or as metadata only.

Media type parameters: k8s.io/apiserver/pkg/endpoints/handlers/negotiation (`as=Table;v=v1;g=meta.k8s.io`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import msgspec
import orjson

from nerv.apiserver import conversion
from nerv.apiserver.registry import Served
from nerv.http.messages import Request
from nerv.kube import errors, tables
from nerv.kube.objects import Object
from nerv.kube.selectors import FieldSelector

_JSON = "application/json"
_META = "meta.k8s.io/v1"
_SERVED_TYPES = frozenset({_JSON, "*/*", "application/*"})
_PLAIN_ACCEPTS = frozenset(
    {_JSON, "*/*", "application/json, */*", "application/vnd.kubernetes.protobuf,application/json"}
)
"""The usual values, known without parsing."""


Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Shape:
    """One way to show the objects of one served version. Equal keys show equally."""

    key: object
    content_type: str
    object: Callable[[bytes], bytes]
    event: Callable[[bytes], bytes] | None
    list: Callable[[Sequence[bytes], str, str, int], bytes]
    """From stored objects, version, continue token and remaining count."""
    bookmark: Callable[[int], Object]
    lasting: bool = True
    """Whether the same objects look the same later: a Table tells their age."""


def negotiate(served: Served, request: Request, now: Clock) -> Shape:
    """The shape that a request accepts: the first alternative that can be served. Raises errors.NotAcceptable."""
    accept = request.headers.get("accept") or "*/*"
    shape = _plain(served)
    if accept in _PLAIN_ACCEPTS:
        return shape
    for alternative in accept.split(","):
        kind, *rest = (part.strip() for part in alternative.split(";"))
        if kind not in _SERVED_TYPES:
            continue
        fields = dict(part.partition("=")[::2] for part in rest)
        match fields.get("as"):
            case None:
                return shape
            case "Table" if fields.get("v") == "v1":
                return _table(served, now, request.param("includeObject") or "Metadata")
            case "PartialObjectMetadata" | "PartialObjectMetadataList" if fields.get("v") == "v1":
                return _partial(served)
    raise errors.NotAcceptable(
        f"only the following media types are accepted: {_JSON}, {_JSON};as=Table;v=v1;g=meta.k8s.io, "
        f"{_JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    )


def _plain(served: Served) -> Shape:
    resource = served.resource
    head = f'{{"kind":"{resource.kind}List","apiVersion":"{resource.api_version}","metadata":'.encode()

    show: Callable[[bytes], bytes] | None = None
    if conversion.needed(served):
        show = partial(conversion.show, served)

    def join(items: Sequence[bytes], version: str, following: str, remaining: int) -> bytes:
        metadata = orjson.dumps(_list_metadata(version, following, remaining))
        shown = items if show is None else map(show, items)
        return b"".join((head, metadata, b',"items":[', b",".join(shown), b"]}"))

    def bookmark(version: int) -> Object:
        return {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {"resourceVersion": str(version), "creationTimestamp": None},
        }

    return Shape((resource.api_version, "object"), _JSON, show or _as_stored, show, join, bookmark)


def _as_stored(raw: bytes) -> bytes:
    return raw


def _table(served: Served, now: Clock, include: str) -> Shape:
    """Rows with the columns of the kind. Columns come with every event: kubectl takes them from the first."""
    printer = served.printer

    def load(raw: bytes) -> Object:
        obj: Object = orjson.loads(conversion.show(served, raw) if conversion.needed(served) else raw)
        return obj

    def show(raw: bytes) -> bytes:
        obj = load(raw)
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return orjson.dumps(tables.table(printer, [obj], now(), list_metadata=metadata, include=include))

    def join(items: Sequence[bytes], version: str, following: str, remaining: int) -> bytes:
        metadata = _list_metadata(version, following, remaining)
        rows = [load(raw) for raw in items]
        return orjson.dumps(tables.table(printer, rows, now(), list_metadata=metadata, include=include))

    def bookmark(version: int) -> Object:
        return tables.table(printer, [], now(), list_metadata={"resourceVersion": str(version)})

    return Shape((served.resource.api_version, "table", include), _JSON, show, show, join, bookmark, lasting=False)


class _OnlyMetadata(msgspec.Struct):
    metadata: msgspec.Raw


_metadata = msgspec.json.Decoder(_OnlyMetadata)


def _partial(served: Served) -> Shape:
    """Metadata alone, without parsing the rest."""
    head = f'{{"kind":"PartialObjectMetadata","apiVersion":"{_META}","metadata":'.encode()

    def show(raw: bytes) -> bytes:
        return b"".join((head, bytes(_metadata.decode(raw).metadata), b"}"))

    list_head = f'{{"kind":"PartialObjectMetadataList","apiVersion":"{_META}","metadata":'.encode()

    def join(items: Sequence[bytes], version: str, following: str, remaining: int) -> bytes:
        metadata = orjson.dumps(_list_metadata(version, following, remaining))
        return b"".join((list_head, metadata, b',"items":[', b",".join(map(show, items)), b"]}"))

    def bookmark(version: int) -> Object:
        return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": {"resourceVersion": str(version)}}

    return Shape(("partial",), _JSON, show, show, join, bookmark)


def _list_metadata(version: str, following: str, remaining: int) -> Object:
    metadata: Object = {"resourceVersion": version}
    if following:
        metadata["continue"] = following
    if remaining:
        metadata["remainingItemCount"] = remaining
    return metadata


_EVENT_FIELDS = (
    "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
    "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
    "reportingComponent", "source", "type",
)  # fmt: skip
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    ),
    "events": _EVENT_FIELDS,
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase", "name"),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicationcontrollers": ("status.replicas",),
    "replicasets.apps": ("status.replicas",),
    "jobs.batch": ("status.successful",),
    "certificatesigningrequests.certificates.k8s.io": ("spec.signerName",),
}  # fmt: skip


def check_fields(served: Served, fields: FieldSelector) -> None:
    """Refuse a field selector on a field that the resource does not index. Raises errors.BadRequest."""
    known = _FIELDS.get(served.key, ()) if served.builtin else _selectable(served)
    for term in fields.terms:
        if term.path not in ("metadata.name", "metadata.namespace") and term.path not in known:
            raise errors.BadRequest(
                f"field label not supported: {term.path}"
                if known or not served.builtin
                else f'"{term.path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            )


def _selectable(served: Served) -> tuple[str, ...]:
    assert served.definition
    return tuple(item.removeprefix(".") for item in served.definition.selectable)
