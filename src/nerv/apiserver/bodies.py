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
_SHOWN = 30
PROTOBUF = "application/vnd.kubernetes.protobuf"


def media_type(request: Request) -> str:
    """Of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decode(request: Request, wanted: str = "Object") -> Object:
    """The body as one object; `wanted` is the kind that an error names. Raises errors.BadRequest,
    errors.UnsupportedMedia."""
    value = _parse(request, wanted)
    if not isinstance(value, dict):
        raise errors.BadRequest(f"the object provided is unrecognized (must be of type {wanted})")
    return value


def patch(request: Request) -> Any:
    """The body of a patch, any JSON value. Raises errors.BadRequest."""
    _check_size(request)
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise errors.BadRequest(f"error decoding patch: {_in_words_of_go(error)}") from None


def _check_size(request: Request) -> None:
    if len(request.body) > _LARGEST:
        limit = f"Request entity too large: limit is {_LARGEST}"
        raise errors.ApiError(limit, code=413, reason="RequestEntityTooLarge")


def _parse(request: Request, wanted: str) -> Any:
    _check_size(request)
    kind = media_type(request)
    if kind.endswith("yaml"):
        return _yaml(request.body)
    if kind == PROTOBUF:
        return _protobuf(request.body)
    if kind in ("", "application/json") or kind.endswith("+json"):
        return _json(request.body, wanted)
    raise errors.UnsupportedMedia(
        "the body of the request was in an unknown format - accepted media types include: "
        f"application/json, application/yaml, {PROTOBUF}"
    )


def _protobuf(body: bytes) -> Object:
    try:
        return protobuf.decode(body)
    except ValueError as error:
        raise errors.BadRequest(f"the object provided is unrecognized: {error}") from None


def _json(body: bytes, wanted: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.BadRequest(
            f"the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; "
            f"json parse error: {_in_words_of_go(error)} ({_summary(body)})"
        ) from None


def _in_words_of_go(error: orjson.JSONDecodeError) -> str:
    return "unexpected end of JSON input" if "unexpected end of data" in str(error) else str(error)


def _summary(body: bytes) -> str:
    """The beginning of a body, as the server shows it: text where it looks like JSON, else hexadecimal."""
    if not body:
        return "<empty>"
    shown = body[:_SHOWN].decode(errors="replace") if body.startswith(b"{") else body[:_SHOWN].hex()
    return f"{shown} ..." if len(body) > _SHOWN else shown


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
