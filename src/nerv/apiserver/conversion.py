"""Between the versions of one resource: what is stored and what is served.

Custom resources with strategy None change their apiVersion only; core and events.k8s.io events share one storage and
differ in the names of some fields. Strategy Webhook is in `nerv.apiserver.webhooks.conversion`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import orjson

from nerv.apiserver.registry import Served
from nerv.kube.objects import Object
from nerv.kube.resources import EVENTS, EVENTS_V1

_EVENT_NAMES: Mapping[str, str] = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_NAMES = {new: old for old, new in _EVENT_NAMES.items()}


class _Version(msgspec.Struct):
    apiVersion: str = ""


_version = msgspec.json.Decoder(_Version)


def needed(served: Served) -> bool:
    """Whether stored objects may have to change for this version at all."""
    return served.several_versions


def by_webhook(served: Served) -> bool:
    """Whether a webhook converts this resource."""
    return served.definition is not None and served.definition.conversion.get("strategy") == "Webhook"


def stored_version(raw: bytes) -> str:
    """The apiVersion of stored bytes, without parsing the rest."""
    return _version.decode(raw).apiVersion


def show(served: Served, raw: bytes) -> bytes:
    """Stored bytes in the served version (strategy None)."""
    if stored_version(raw) == served.resource.api_version:
        return raw
    obj: Object = orjson.loads(raw)
    return orjson.dumps(recast(obj, served.resource.api_version))


def recast(obj: Object, api_version: str) -> Object:
    """`obj` under another apiVersion, in place where possible."""
    if api_version == EVENTS_V1.api_version and obj.get("apiVersion") == EVENTS.api_version:
        obj = {_EVENT_NAMES.get(name, name): value for name, value in obj.items()}
    elif api_version == EVENTS.api_version and obj.get("apiVersion") == EVENTS_V1.api_version:
        obj = {_CORE_NAMES.get(name, name): value for name, value in obj.items()}
    obj["apiVersion"] = api_version
    return obj
