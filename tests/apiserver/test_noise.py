"""Whatever a client sends is answered with its own fault (4xx) or taken: never with a crash of ours."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from nerv.kube.client import Client
from nerv.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    LIMIT_RANGES,
    PODS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICES,
    SUBJECT_ACCESS_REVIEWS,
    VALIDATING_WEBHOOKS,
    Resource,
    path,
)

_LABELS = {"app": "x"}
_META = {
    "name": "a",
    "namespace": "default",
    "labels": _LABELS,
    "annotations": {"a": "b"},
    "finalizers": ["example.com/x"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u"}],
}
_POD = {
    "containers": [
        {
            "name": "c",
            "image": "i",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "value": "b"}],
            "resources": {"limits": {"cpu": "1"}},
            "securityContext": {"runAsUser": 1},
            "volumeMounts": [{"name": "v", "mountPath": "/x"}],
        }
    ],
    "volumes": [{"name": "v", "emptyDir": {}}],
}
_RULE = {"apiGroups": ["z"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
_OBJECTS: tuple[tuple[Resource, dict[str, Any]], ...] = (
    (PODS, {"spec": _POD}),
    (
        DEPLOYMENTS,
        {"spec": {"selector": {"matchLabels": _LABELS}, "template": {"metadata": {"labels": _LABELS}, "spec": _POD}}},
    ),
    (
        SERVICES,
        {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30001}], "clusterIP": "10.43.0.9"}},
    ),
    (SECRETS, {"data": {"a": "Yg=="}, "stringData": {"c": "d"}}),
    (RESOURCE_QUOTAS, {"spec": {"hard": {"pods": "1000"}}}),
    (LIMIT_RANGES, {"spec": {"limits": [{"type": "Container", "max": {"cpu": "9"}}]}}),
    (
        CLUSTER_ROLE_BINDINGS,
        {"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "User", "name": "x"}]},
    ),
    (
        VALIDATING_WEBHOOKS,
        {
            "webhooks": [
                {"name": "a.b.c", "clientConfig": {"url": "https://x"}, "rules": [_RULE], "sideEffects": "None"}
            ]
        },
    ),
    (
        CUSTOM_RESOURCE_DEFINITIONS,
        {
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "as", "kind": "A"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
                ],
            }
        },
    ),
    (SUBJECT_ACCESS_REVIEWS, {"spec": {"user": "x", "resourceAttributes": {"verb": "get", "resource": "pods"}}}),
)
_JUNK: tuple[Any, ...] = (
    None,
    1,
    -1,
    1.5,
    "",
    "x",
    "é\n",
    True,
    [],
    {},
    [None],
    {"a": None},
    [{}],
    [[]],
    {"": ""},
    "v" * 300,
)
_MEDIA = {
    "POST": "application/json",
    "PUT": "application/json",
    "MERGE": "application/merge-patch+json",
    "STRATEGIC": "application/strategic-merge-patch+json",
    "APPLY": "application/apply-patch+yaml",
}
_APPLY_TYPE_ERROR = b"failed to create typed patch object"
"""The real server answers this with 500 as well; Flux and Helm show its text."""


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*place, key))


def _spoilt(chance: random.Random, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    meta = _META if resource.namespaced else {**_META, "namespace": ""}
    made = copy.deepcopy({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, **obj})
    *parents, last = chance.choice(list(_places(made)))
    holder: Any = made
    for part in parents:
        holder = holder[part]
    holder[last] = copy.deepcopy(chance.choice(_JUNK))
    return made


@pytest.mark.parametrize("seed", range(4))
async def test_spoilt_objects_are_the_clients_fault(client: Client, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(250):
        resource, obj = chance.choice(_OBJECTS)
        how = chance.choice(list(_MEDIA))
        url = path(resource, "default", None if how == "POST" else "a")
        method = how if how in ("POST", "PUT") else "PATCH"
        body = orjson.dumps(_spoilt(chance, resource, obj))
        query = {"fieldManager": "noise", "force": "true"} if how == "APPLY" else {"fieldManager": "noise"}
        answer = await client.raw(method, quote(url), query=query, body=body, content_type=_MEDIA[how])
        assert answer.status < 500 or _APPLY_TYPE_ERROR in answer.body, (method, url, body, answer.body)
