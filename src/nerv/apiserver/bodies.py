"""Request bodies: JSON, YAML or Kubernetes protobuf, to a plain object."""

from __future__ import annotations

from typing import Any

import orjson

from nerv import documents
from nerv.http.messages import Request
from nerv.kube import errors, protobuf
from nerv.kube.objects import Object

_LARGEST = 3 << 20
"""Bytes, as kube-apiserver limits resource requests."""
PROTOBUF = "application/vnd.kubernetes.protobuf"


def media_type(request: Request) -> str:
    """Of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decode(request: Request) -> Object:
    """The body as one object. Raises errors.BadRequest, errors.UnsupportedMedia."""
    value = parse(request)
    if not isinstance(value, dict):
        raise errors.BadRequest("the object provided is unrecognized (must be of type Object)")
    return value


def parse(request: Request) -> Any:
    """The body as any JSON value. Raises errors.BadRequest, errors.UnsupportedMedia."""
    if len(request.body) > _LARGEST:
        limit = f"Request entity too large: limit is {_LARGEST}"
        raise errors.ApiError(limit, code=413, reason="RequestEntityTooLarge")
    kind = media_type(request)
    if kind.endswith("yaml"):
        return _yaml(request.body)
    if kind == PROTOBUF:
        return _protobuf(request.body)
    if kind in ("", "application/json") or kind.endswith("+json"):
        return _json(request.body)
    raise errors.UnsupportedMedia(
        "the body of the request was in an unknown format - accepted media types include: "
        f"application/json, application/yaml, {PROTOBUF}"
    )


def _protobuf(body: bytes) -> Object:
    try:
        return protobuf.decode(body)
    except ValueError as error:
        raise errors.BadRequest(f"the object provided is unrecognized: {error}") from None


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.BadRequest(f"the object provided is unrecognized: {error}") from None


def _yaml(body: bytes) -> Any:
    if body.lstrip()[:1] == b"{":  # Helm and Flux send JSON under the name of YAML, and libyaml is 20 times slower
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return documents.load(body)
    except documents.DocumentError as error:
        raise errors.BadRequest(f"error decoding YAML: {error.message}") from None
