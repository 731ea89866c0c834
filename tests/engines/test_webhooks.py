"""Admission webhooks of either engine's API server, seen through kubectl: a real server in a pod, asked through its
Service and by a URL that leads into the cluster, and URLs that lead out of it as the proxy allows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import commands
from tests.support.apiserver import authority
from tests.support.engines import DRIVERS, Machine, engine, https_program, serve
from tests.support.nodes import eventually
from tests.support.webhook_answers import ANSWERS, CALLED, JSON, MUTATING, TEXTS, VALIDATING, base64_of, review

from nerv import certificates
from nerv.http import tls
from nerv.http.messages import Request, Response
from nerv.http.server import Server, listen
from nerv.kube import errors
from nerv.kube.resources import (
    CONFIG_MAPS,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
    Resource,
)

pytestmark = [pytest.mark.timeout(180)]
CLUSTER_ADDRESS = "10.43.0.50"
ENGINES = ("embedded", pytest.param("upstream", marks=commands.NEEDS_UPSTREAM))
_HANDLER = """
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        allowed = review["request"]["object"]["data"]["x"] == "2"
        answer = {"uid": review["request"]["uid"], "allowed": allowed, "status": {"message": "x must be 2"}}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({**review, "request": None, "response": answer}).encode())
"""


class Outside:
    """A webhook on this machine, which denies everything with its `status`."""

    def __init__(self) -> None:
        self.status: dict[str, Any] | None = {"message": "never"}
        self.answer: Response | None = None
        """what it says instead"""
        self.asked: list[str] = []
        self.server: Server | None = None

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.port

    def handle(self, request: Request) -> Response:
        review = json.loads(request.body)
        self.asked.append(review["request"]["name"])
        if self.answer:
            body = self.answer.body.replace(b"UID", review["request"]["uid"].encode())
            return Response(self.answer.status, body, self.answer.content_type)
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": self.status}
        return Response(200, json.dumps({**review, "request": None, "response": answer}).encode())


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    found = Outside()
    leaf = certificates.issue(authority(), "hook", names=["localhost", "127.0.0.1"])
    found.server = await listen(found.handle, ssl=tls.server_context(leaf.certificate, leaf.key))
    yield found
    await found.server.close()


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=ENGINES)
async def machine(
    tmp_path: Path, request: pytest.FixtureRequest, driver: Any, outside: Outside
) -> AsyncIterator[Machine]:
    program = https_program(_HANDLER)
    named = {("localhost", outside.port)}
    async with engine(request.param, tmp_path, {"hook": program}, driver, named) as running:
        yield running


async def _register(
    machine: Machine, name: str, kind: Resource = VALIDATING_WEBHOOKS, policy: str = "Fail", **place: Any
) -> None:
    bundle = base64.b64encode(authority().certificate.encode()).decode()
    webhook = {
        "name": f"{name}.example.com",
        "clientConfig": {"caBundle": bundle, **place},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
        "objectSelector": {"matchLabels": {"checked-by": name}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": policy,
    }
    await machine.world.create(kind, {"metadata": {"name": name}, "webhooks": [webhook]})


async def _refused(machine: Machine, name: str, x: str = "1") -> str:
    """What kubectl says of a ConfigMap that the webhook checks. A real API server learns of a webhook a little later,
    so the request is a dry run, repeated until it is refused."""
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"checked-by": name}},
        "data": {"x": x},
    }

    async def said() -> str:
        done = await machine.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(config_map))
        return done.stderr

    found: str = await eventually(said, f"the webhook {name} to be asked")
    return found


async def _created(machine: Machine, name: str) -> str:
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"checked-by": name}},
        "data": {"x": "2"},
    }
    done = await machine.kubectl("create", "-f", "-", input=json.dumps(config_map))
    assert done.code == 0, done.stderr
    return done.stdout


def _denied(name: str, message: str) -> str:
    return (
        f'Error from server: error when creating "STDIN": admission webhook "{name}.example.com" denied the request: '
        f"{message}\n"
    )


async def test_a_server_in_a_pod_is_asked(machine: Machine) -> None:
    await serve(machine, "hook", authority(), CLUSTER_ADDRESS)
    await _register(machine, "service", service={"name": "hook", "namespace": "default", "path": "/check"})
    await _register(machine, "address", url=f"https://{CLUSTER_ADDRESS}/check")
    for name in ("service", "address"):
        assert await _refused(machine, name) == _denied(name, "x must be 2")
        assert await _created(machine, name) == f"configmap/{name} created\n"


async def test_urls_that_lead_out_of_the_cluster(machine: Machine, outside: Outside) -> None:
    """The place that is named, and no other of this machine: not even the same by its address."""
    await _register(machine, "named", url=f"https://localhost:{outside.port}/check")
    assert await _refused(machine, "named") == _denied("named", "never")
    outside.asked.clear()
    await _register(machine, "loopback", url=f"https://127.0.0.1:{outside.port}/check")
    said = await _refused(machine, "loopback")
    assert 'failed calling webhook "loopback.example.com"' in said
    assert f"127.0.0.1:{outside.port} is this machine itself, which is not served" in said
    assert outside.asked == []


@pytest.mark.parametrize("driver", DRIVERS[1:], indirect=True)
async def test_a_denial_is_the_webhooks_own_status(machine: Machine, outside: Outside) -> None:
    await _register(machine, "named", url=f"https://localhost:{outside.port}/check")
    await _refused(machine, "named")
    config_map = {"metadata": {"name": "x", "labels": {"checked-by": "named"}}, "data": {"x": "1"}}
    text = 'admission webhook "named.example.com" denied the request'
    for status, code, reason, message in (
        (None, 400, "", f"{text} without explanation"),
        ({}, 400, "", f"{text} without explanation"),
        ({"message": "x must be 2"}, 400, "", f"{text}: x must be 2"),
        ({"code": 200, "message": "x must be 2"}, 400, "", f"{text}: x must be 2"),
        ({"reason": "Forbidden"}, 400, "Forbidden", f"{text}: Forbidden"),
        ({"code": 403, "reason": "Forbidden", "message": "no"}, 403, "Forbidden", f"{text}: no"),
        ({"code": 422, "message": "no"}, 422, "", f"{text}: no"),
        ({"code": 999, "message": "no"}, 999, "", f"{text}: no"),
    ):
        outside.status = status
        with pytest.raises(errors.ApiError) as refused:
            await machine.world.create(CONFIG_MAPS, config_map)
        found = refused.value
        assert (found.code, found.reason, found.message) == (code, reason, message), status


@pytest.mark.parametrize("driver", DRIVERS[1:], indirect=True)
async def test_an_answer_that_is_no_review_is_told(machine: Machine, outside: Outside) -> None:
    await _register(machine, "named", url=f"https://localhost:{outside.port}/check")
    await _refused(machine, "named")
    config_map = {"metadata": {"name": "x", "labels": {"checked-by": "named"}}, "data": {"x": "1"}}
    texts = ((status, content_type, text, f"{CALLED}{message}") for status, content_type, text, message in TEXTS)
    for status, content_type, text, message in (*ANSWERS, *texts):
        outside.answer = Response(status, text if isinstance(text, bytes) else text.encode(), content_type)
        with pytest.raises(errors.InternalError) as refused:
            await machine.world.create(CONFIG_MAPS, config_map)
        told = 'Internal error occurred: failed calling webhook "named.example.com": '
        assert refused.value.message == told + message, (status, content_type, text)


@pytest.mark.parametrize("driver", DRIVERS[1:], indirect=True)
async def test_a_review_that_is_malformed_is_told_and_never_allows(machine: Machine, outside: Outside) -> None:
    url = f"https://localhost:{outside.port}/check"
    for name, kind, cases in (
        ("validating", VALIDATING_WEBHOOKS, VALIDATING),
        ("mutating", MUTATING_WEBHOOKS, MUTATING),
    ):
        outside.answer = None
        await _register(machine, name, kind, url=url)
        await _refused(machine, name)
        config_map = {"metadata": {"name": "x", "labels": {"checked-by": name}}, "data": {"x": "1"}}
        for answer, message in cases:
            outside.answer = Response(200, json.dumps(answer).encode(), JSON)
            with pytest.raises(errors.InternalError) as refused:
                await machine.world.create(CONFIG_MAPS, config_map)
            told = f'Internal error occurred: failed calling webhook "{name}.example.com": '
            assert refused.value.message == told + message, answer


@pytest.mark.parametrize("driver", DRIVERS[1:], indirect=True)
async def test_failures_that_are_ignored_are_so_whatever_fails(machine: Machine, outside: Outside) -> None:
    """A malformed review, a host that none can be, an authority that is none."""
    outside.answer = Response(200, json.dumps(review(status={"code": "403"}, allowed=False)).encode(), JSON)
    place = f"https://localhost:{outside.port}/check"
    await _register(machine, "malformed", policy="Ignore", url=place)
    for name, url in (
        ("port", "https://h:99999/"),
        ("dots", "https://a..b/"),
        ("long", f"https://{'a' * 64}.example/"),
    ):
        await _register(machine, name, policy="Ignore", url=url)
    await _register(machine, "authority", policy="Ignore", url=place, caBundle=base64_of("no PEM"))
    for name in ("malformed", "port", "dots", "long", "authority"):
        assert await _created(machine, name) == f"configmap/{name} created\n"


@pytest.mark.parametrize("driver", DRIVERS[1:], indirect=True)
async def test_an_authority_that_is_none_is_told(machine: Machine, outside: Outside) -> None:
    await _register(machine, "named", url=f"https://localhost:{outside.port}/check", caBundle=base64_of("no PEM"))
    assert (
        'failed calling webhook "named.example.com": could not get REST client: unable to load root certificates: '
        "unable to parse bytes as PEM block"
    ) in await _refused(machine, "named")
    assert outside.asked == []
