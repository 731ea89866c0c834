"""PATCH: the four media types, each a function from the present object to the wanted one."""

from __future__ import annotations

from typing import Any

from nerv.apiserver import bodies, writes
from nerv.apiserver.context import Context
from nerv.apiserver.registry import Served
from nerv.apiserver.requests import Call
from nerv.apiserver.writes import Written
from nerv.kube import errors
from nerv.kube.objects import Object


async def patch(context: Context, served: Served, call: Call) -> Written:
    """Apply the patch of a request. Raises errors.UnsupportedMedia, errors.Invalid."""
    body = bodies.parse(call.request)
    kind = bodies.media_type(call.request)
    if kind == "application/merge-patch+json":
        return await writes.update(context, served, call, lambda old: _merged(served, old, body))
    raise errors.UnsupportedMedia(f"the body of the request was in an unknown format: {kind}")


def _merged(served: Served, old: Object, body: Any) -> Object:
    for key, value in body.items():
        if value is None:
            old.pop(key, None)
        elif isinstance(value, dict):
            present = old.get(key)
            old[key] = _merged(served, present if isinstance(present, dict) else {}, value)
        else:
            old[key] = value
    return old
