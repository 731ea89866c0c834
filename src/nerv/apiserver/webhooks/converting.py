"""Conversion webhooks of custom resources: ConversionReview v1."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from nerv.apiserver.registry import Served
from nerv.apiserver.webhooks.answers import CallFailed
from nerv.apiserver.webhooks.calling import Caller, Endpoint
from nerv.kube import errors
from nerv.kube.objects import Object

_TIMEOUT = 30


async def convert(caller: Caller, served: Served, objects: Sequence[Object], api_version: str) -> list[Object]:
    """The objects in another apiVersion, in the same order. Raises errors.InternalError."""
    assert served.definition is not None
    webhook = served.definition.conversion.get("webhook") or {}
    identifier = str(uuid.uuid4())
    review = {
        "kind": "ConversionReview",
        "apiVersion": "apiextensions.k8s.io/v1",
        "request": {"uid": identifier, "desiredAPIVersion": api_version, "objects": list(objects)},
    }
    resource = served.resource
    prefix = f"conversion webhook for {objects[0].get('apiVersion')}, Kind={resource.kind} failed"
    try:
        answer = await caller.post(Endpoint.of(webhook.get("clientConfig") or {}), review, _TIMEOUT)
    except CallFailed as failure:
        raise errors.InternalError(f"{prefix}: {failure}") from None
    response = answer.get("response") or {}
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise errors.InternalError(f"{prefix}: {result.get('message', 'no reason given')}")
    converted: list[Object] = response.get("convertedObjects") or []
    if len(converted) != len(objects):
        count = f"expected {len(objects)}, got {len(converted)}"
        raise errors.InternalError(f"{prefix}: webhook returned a wrong number of objects: {count}")
    for before, after in zip(objects, converted, strict=True):
        # metadata beyond labels and annotations is not the webhook's to change
        kept = {name: after["metadata"][name] for name in ("labels", "annotations") if name in after["metadata"]}
        others = {key: value for key, value in before["metadata"].items() if key not in ("labels", "annotations")}
        after["metadata"] = {**others, **kept}
    return converted
