"""Admission webhooks behind a Service, over TLS, asked through the cluster's network (here: loopback)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.apiserver import authority, running

from nerv import certificates
from nerv.apiserver.identity import ADMIN
from nerv.http import tls
from nerv.http.messages import Request, Response
from nerv.http.server import listen
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    ENDPOINT_SLICES,
    MUTATING_WEBHOOKS,
    SERVICES,
    VALIDATING_WEBHOOKS,
    Resource,
)

Review = dict[str, Any]


def convert(request: Review) -> Review:
    """Writes down in `spec.seen` where an object has been converted to."""
    version = request["desiredAPIVersion"].rpartition("/")[2]
    objects = [
        {
            **obj,
            "apiVersion": request["desiredAPIVersion"],
            "spec": {"seen": f"{obj['spec']['seen']} {version}".strip()},
        }
        for obj in request["objects"]
    ]
    return {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": objects}


class Hook:
    """A webhook whose answer a test can change."""

    def __init__(self) -> None:
        self.answer: Callable[[Review], Review] = lambda request: {"allowed": True}
        self.converted: Callable[[Review], Review] = lambda response: response
        """what becomes of the whole answer to a conversion"""
        self.seen: list[Review] = []

    def handle(self, request: Request) -> Response:
        review = orjson.loads(request.body)
        if review["kind"] == "ConversionReview":
            return Response(200, orjson.dumps(self.converted({**review, "response": convert(review["request"])})))
        self.seen.append(review["request"])
        response = {"uid": review["request"]["uid"], **self.answer(review["request"])}
        return Response(200, orjson.dumps({**review, "request": None, "response": response}))


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
async def world(tmp_path: Path, hook: Hook) -> AsyncIterator[Client]:
    pair = certificates.issue(authority(), "hook", names=["hook.default.svc"])
    serving = await listen(hook.handle, ssl=tls.server_context(pair.certificate, pair.key))

    async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert (host, port) == ("10.42.0.9", 9443)
        return await asyncio.open_connection("127.0.0.1", serving.port)

    async with running(tmp_path, egress=dial) as server:
        client = server.direct(ADMIN)
        port = {"name": "https", "port": 443, "targetPort": 9443}
        await client.create(SERVICES, {"metadata": {"name": "hook", "namespace": "default"}, "spec": {"ports": [port]}})
        piece = {
            "metadata": {"name": "hook-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "hook"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.42.0.9"], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": 9443}],
        }
        await client.create(ENDPOINT_SLICES, piece)
        yield client
    await serving.close()


def configuration(**changes: Any) -> dict[str, Any]:
    bundle = base64.b64encode(authority().certificate.encode()).decode()
    service = {"name": "hook", "namespace": "default", "path": "/check"}
    webhook = {
        "name": "check.example.com",
        "clientConfig": {"caBundle": bundle, "service": service},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]}],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        **changes,
    }
    return {"metadata": {"name": "check"}, "webhooks": [webhook]}


def config_map(name: str = "a", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "data": {"x": "1"}}


async def test_mutating_webhook_changes_the_object(world: Client, hook: Hook) -> None:
    patch = base64.b64encode(orjson.dumps([{"op": "add", "path": "/data/added", "value": "yes"}])).decode()
    hook.answer = lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": patch}
    await world.create(MUTATING_WEBHOOKS, configuration())
    made = await world.create(CONFIG_MAPS, config_map())
    assert made["data"] == {"x": "1", "added": "yes"}
    assert hook.seen[0]["operation"] == "CREATE"
    assert hook.seen[0]["userInfo"]["username"] == "system:admin"


async def test_validating_webhook_denies_in_its_own_words(world: Client, hook: Hook) -> None:
    hook.answer = lambda request: {"allowed": False, "status": {"code": 422, "message": "x must be 2"}}
    await world.create(VALIDATING_WEBHOOKS, configuration())
    with pytest.raises(errors.ApiError) as refused:
        await world.create(CONFIG_MAPS, config_map())
    assert refused.value.message == 'admission webhook "check.example.com" denied the request: x must be 2'
    assert refused.value.code == 422
    with pytest.raises(errors.NotFound):
        await world.get(CONFIG_MAPS, "a", "default")


async def test_deletion_is_reviewed(world: Client, hook: Hook) -> None:
    await world.create(VALIDATING_WEBHOOKS, configuration())
    await world.create(CONFIG_MAPS, config_map())
    await world.delete(CONFIG_MAPS, "a", "default")
    assert [seen["operation"] for seen in hook.seen] == ["CREATE", "DELETE"]
    assert hook.seen[1]["oldObject"]["data"] == {"x": "1"}


async def test_missing_endpoints_fail_the_request(world: Client) -> None:
    await world.create(VALIDATING_WEBHOOKS, configuration())
    await world.delete(ENDPOINT_SLICES, "hook-1", "default")
    with pytest.raises(errors.InternalError) as refused:
        await world.create(CONFIG_MAPS, config_map())
    assert refused.value.message == (
        'Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: '
        'Post "https://hook.default.svc:443/check?timeout=10s": no endpoints available for service "hook"'
    )


async def test_ignored_failure(world: Client) -> None:
    await world.create(VALIDATING_WEBHOOKS, configuration(failurePolicy="Ignore"))
    await world.delete(ENDPOINT_SLICES, "hook-1", "default")
    assert await world.create(CONFIG_MAPS, config_map())


async def test_wrong_authority_is_not_trusted(world: Client) -> None:
    other = base64.b64encode(certificates.create_ca("other").certificate.encode()).decode()
    config = configuration()
    config["webhooks"][0]["clientConfig"]["caBundle"] = other
    await world.create(VALIDATING_WEBHOOKS, config)
    with pytest.raises(errors.InternalError, match="tls: failed to verify certificate"):
        await world.create(CONFIG_MAPS, config_map())


async def test_object_selector(world: Client, hook: Hook) -> None:
    selector = {"matchLabels": {"check": "yes"}}
    await world.create(VALIDATING_WEBHOOKS, configuration(objectSelector=selector))
    await world.create(CONFIG_MAPS, config_map("a"))
    await world.create(CONFIG_MAPS, config_map("b", check="yes"))
    assert [seen["name"] for seen in hook.seen] == ["b"]


async def test_match_conditions(world: Client, hook: Hook) -> None:
    condition = {"name": "named", "expression": "object.metadata.name == 'b'"}
    await world.create(VALIDATING_WEBHOOKS, configuration(matchConditions=[condition]))
    for name in ("a", "b"):
        await world.create(CONFIG_MAPS, config_map(name))
    assert [seen["name"] for seen in hook.seen] == ["b"]


async def _things(world: Client) -> tuple[Resource, Resource]:
    """A custom resource that a webhook converts: its old and its new version, and one object."""
    bundle = base64.b64encode(authority().certificate.encode()).decode()
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    client_config = {"caBundle": bundle, "service": {"name": "hook", "namespace": "default", "path": "/convert"}}
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}}
                for name in ("v1", "v1beta1")
            ],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client_config},
            },
        },
    }
    await world.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
    old, new = [await world.resource_for(f"example.com/{version}", "Thing") for version in ("v1beta1", "v1")]
    return old, new


_THING = {
    "apiVersion": "example.com/v1beta1",
    "kind": "Thing",
    "metadata": {"name": "t", "namespace": "default"},
    "spec": {"seen": ""},
}


async def test_conversion_webhook_stands_between_the_versions(world: Client, hook: Hook) -> None:
    old, new = await _things(world)
    made = await world.create(old, _THING)
    assert (made["apiVersion"], made["spec"]) == ("example.com/v1beta1", {"seen": "v1 v1beta1"})
    stored = await world.get(new, "t", "default")
    assert (stored["apiVersion"], stored["spec"]) == ("example.com/v1", {"seen": "v1"})
    listed = await world.list(old, "default")
    assert [item["spec"] for item in listed.items] == [{"seen": "v1 v1beta1"}]


def _answered(**changes: Any) -> Callable[[Review], Review]:
    return lambda review: {**review, "response": {**review["response"], **changes}}


def _objects(change: Callable[[Review], Any]) -> Callable[[Review], Review]:
    return lambda review: _answered(convertedObjects=[change(each) for each in review["response"]["convertedObjects"]])(
        review
    )


def _about(**changes: Any) -> Callable[[Review], Review]:
    return _objects(lambda each: {**each, "metadata": {**each["metadata"], **changes}})


_INVALID = " returned invalid converted object at index 0: "


@pytest.mark.parametrize(
    ("converted", "told"),
    [
        (
            lambda review: {"response": review["response"]},
            " failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /, Kind=",
        ),
        (lambda review: {**review, "response": None}, " failed: no response provided"),
        (_answered(uid="other"), ', got "other"'),
        (_answered(result={"status": "Failure", "message": "cannot"}), " failed: cannot"),
        (_answered(result={}), " failed: response.result.status was '', not 'Success'"),
        (
            _answered(result="Success"),
            " failed: json: cannot unmarshal string into Go struct field ConversionResponse.response.result of type "
            "v1.Status",
        ),
        (_answered(convertedObjects=[]), " returned 0 objects, expected 1"),
        (_objects(lambda each: 5), f"{_INVALID}Object 'Kind' is missing"),
        (
            _objects(lambda each: {**each, "apiVersion": "example.com/v2"}),
            f"{_INVALID}invalid groupVersion (expected example.com/v1, received example.com/v2)",
        ),
        (
            _objects(lambda each: {**each, "kind": "Other"}),
            f"{_INVALID}invalid kind (expected Thing, received Other)",
        ),
        (_about(name="other"), f"{_INVALID}must have the same name: t != other"),
        (
            _about(labels={"a": 1}),
            " returned invalid metadata in object at index 0: metadata.labels[a] must be a string in converted object",
        ),
    ],
)
async def test_a_conversion_is_verified(
    world: Client, hook: Hook, converted: Callable[[Review], Review], told: str
) -> None:
    old, _ = await _things(world)
    hook.converted = converted
    with pytest.raises(errors.InternalError) as refused:
        await world.create(old, _THING)
    assert refused.value.message.startswith("conversion webhook for example.com/v1beta1, Kind=Thing ")
    assert refused.value.message.endswith(told)


@pytest.mark.parametrize("patch", [[1], {}, [{"op": "move", "from": 5, "path": "/data/y"}]])
async def test_a_patch_that_is_none_is_told(world: Client, hook: Hook, patch: Any) -> None:
    given = base64.b64encode(orjson.dumps(patch)).decode()
    hook.answer = lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": given}
    await world.create(MUTATING_WEBHOOKS, configuration())
    with pytest.raises(errors.InternalError, match="Internal error occurred: "):
        await world.create(CONFIG_MAPS, config_map())
