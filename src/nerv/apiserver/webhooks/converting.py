"""Conversion webhooks of custom resources: ConversionReview v1."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from nerv.apiserver.registry import Served
from nerv.apiserver.webhooks.answers import kind_of, quoted
from nerv.apiserver.webhooks.calling import Caller, Endpoint
from nerv.apiserver.webhooks.failures import CallFailed
from nerv.kube import errors
from nerv.kube.objects import Object

_TIMEOUT = 30
_CHANGEABLE = ("labels", "annotations")
_FIXED = (("name", "name"), ("namespace", "namespace"), ("uid", "UID"))
"""What metadata must keep, and its name in messages."""


async def convert(caller: Caller, served: Served, objects: Sequence[Object], api_version: str) -> list[Object]:
    """The objects in another apiVersion, in the same order. Raises errors.InternalError."""
    assert served.definition is not None
    webhook = served.definition.conversion.get("webhook") or {}
    review = {
        "kind": "ConversionReview",
        "apiVersion": "apiextensions.k8s.io/v1",
        "request": {"uid": str(uuid.uuid4()), "desiredAPIVersion": api_version, "objects": list(objects)},
    }
    told = f"conversion webhook for {kind_of({**objects[0], 'kind': served.resource.kind})}"
    try:
        answer = await caller.post(Endpoint.of(webhook.get("clientConfig") or {}), review, _TIMEOUT)
        converted = _verified(answer, review)
    except CallFailed as failure:
        raise errors.InternalError(f"{told} failed: {failure}") from None
    if len(converted) != len(objects):
        raise errors.InternalError(f"{told} returned {len(converted)} objects, expected {len(objects)}")
    found = []
    for position, (before, after) in enumerate(zip(objects, converted, strict=True)):
        problem = _problem(before, after, api_version)
        if problem:
            raise errors.InternalError(f"{told} returned invalid converted object at index {position}: {problem}")
        problem = _metadata_problem(after.get("metadata"))
        if problem:
            raise errors.InternalError(f"{told} returned invalid metadata in object at index {position}: {problem}")
        found.append({**after, "metadata": _kept(before["metadata"], after["metadata"])})
    return found


def _verified(answer: Object, review: Object) -> list[Any]:
    """The converted objects. Raises CallFailed where the answer is another's, or none."""
    if kind_of(answer) != kind_of(review):
        raise CallFailed(f"expected webhook response of {kind_of(review)}, got {kind_of(answer)}")
    response = answer.get("response")
    if response is None:
        raise CallFailed("no response provided")
    wanted, given = review["request"]["uid"], response.get("uid", "")
    if given != wanted:
        raise CallFailed(f"expected response.uid={quoted(wanted)}, got {quoted(given)}")
    result = response.get("result", {})
    status = result.get("status", "")
    if status != "Success":
        raise CallFailed(result.get("message") or f"response.result.status was '{status}', not 'Success'")
    converted: list[Any] = response.get("convertedObjects", [])
    return converted


def _problem(before: Object, after: Any, api_version: str) -> str:
    """What makes it another object, or one of another version."""
    if not isinstance(after, dict) or not after.get("kind"):
        return "Object 'Kind' is missing"
    if after.get("apiVersion") != api_version:
        return f"invalid groupVersion (expected {api_version}, received {after.get('apiVersion', '')})"
    if after["kind"] != before["kind"]:
        return f"invalid kind (expected {before['kind']}, received {after['kind']})"
    metadata = after.get("metadata")
    given = metadata if isinstance(metadata, dict) else {}
    for name, word in _FIXED:
        old, new = before["metadata"].get(name, ""), given.get(name) or ""
        if old != new:
            return f"must have the same {word}: {old} != {new}"
    return ""


def _metadata_problem(metadata: Any) -> str:
    if not isinstance(metadata, dict):
        return "missing metadata in converted object"
    for name in _CHANGEABLE:
        given = metadata.get(name) or {}
        if not isinstance(given, dict):
            return f"invalid metadata.{name} in converted object"
        wrong = next((key for key, value in given.items() if not isinstance(value, str)), None)
        if wrong is not None:
            return f"metadata.{name}[{wrong}] must be a string in converted object"
    return ""


def _kept(before: Object, after: Object) -> Object:
    """Metadata beyond labels and annotations is not the webhook's to change."""
    given = {name: after[name] for name in _CHANGEABLE if after.get(name) is not None}
    return {key: value for key, value in before.items() if key not in _CHANGEABLE} | given
