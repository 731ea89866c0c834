"""An aggregated API: a server in a pod that the real API server reaches through the egress selector, and asks in the
name of whoever asks it. The embedded engine has no aggregation, and says so.
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

from nerv.kube.resources import API_SERVICES

pytestmark = [pytest.mark.timeout(180)]
GROUP, VERSION = "weather.example.com", "v1"
NAME = f"{VERSION}.{GROUP}"
_HANDLER = """
GROUP, VERSION = "weather.example.com", "v1"
RESOURCE = {"name": "places", "singularName": "place", "namespaced": False, "kind": "Place", "verbs": ["get", "list"]}

def answer(path, headers):
    version = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
    if path == f"/apis/{GROUP}":
        told = {"kind": "APIGroup", "apiVersion": "v1", "name": GROUP}
        return {**told, "versions": [version], "preferredVersion": version}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [answer(f"/apis/{GROUP}", headers)]}
    if path == f"/apis/{GROUP}/{VERSION}":
        told = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}"}
        return {**told, "resources": [RESOURCE]}
    if path == f"/apis/{GROUP}/{VERSION}/places/here":
        told = {"kind": "Place", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {"name": "here"}}
        return {**told, "sky": "clear", "user": headers["X-Remote-User"]}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = answer(self.path.partition("?")[0].rstrip("/"), self.headers)
        body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
"""


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def machine(tmp_path: Path, request: pytest.FixtureRequest, driver: Any) -> AsyncIterator[Machine]:
    """An engine, named by the test, on a network of either driver."""
    program = https_program(_HANDLER)
    async with engine(request.param, tmp_path, {"weather": program}, driver) as running:
        yield running


async def _register(machine: Machine) -> None:
    bundle = base64.b64encode(authority().certificate.encode()).decode()
    spec = {
        "group": GROUP,
        "version": VERSION,
        "groupPriorityMinimum": 1000,
        "versionPriority": 15,
        "service": {"name": "weather", "namespace": "default"},
        "caBundle": bundle,
    }
    await machine.world.create(API_SERVICES, {"metadata": {"name": NAME}, "spec": spec})


@commands.NEEDS_UPSTREAM
@pytest.mark.parametrize("machine", ["upstream"], indirect=True)
async def test_a_group_is_served_by_a_pod(machine: Machine) -> None:
    await serve(machine, "weather", authority())
    await _register(machine)
    await machine.world.wait(API_SERVICES, NAME, lambda obj: is_available(obj) == "True", None)
    done = await machine.kubectl("get", "--raw", f"/apis/{GROUP}/{VERSION}/places/here")
    assert done.code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["sky"], told["user"]) == ("clear", "kubernetes-admin")  # of kubectl's certificate

    async def by_discovery() -> bool:
        shown = await machine.kubectl("get", "place", "here", "-o", "jsonpath={.sky}")
        return shown.stdout == "clear"

    await eventually(by_discovery, "the group in the API server's discovery")


@pytest.mark.parametrize("machine", ["embedded"], indirect=True)
@pytest.mark.parametrize("driver", DRIVERS[1:], indirect=True)
async def test_the_embedded_engine_says_that_it_aggregates_nothing(machine: Machine) -> None:
    await _register(machine)
    await machine.world.wait(API_SERVICES, NAME, lambda obj: is_available(obj) == "False", None)
    shown = (await machine.kubectl("get", "apiservice", NAME)).stdout.splitlines()[1].split()
    assert shown[:4] == [NAME, "default/weather", "False", "(NotAggregated)"]
    said = (await machine.kubectl("describe", "apiservice", NAME)).stdout
    assert (
        "the embedded engine aggregates no APIs, and this one is not served: `nerv up --engine upstream` does" in said
    )
    done = await machine.kubectl("get", "--raw", f"/apis/{GROUP}/{VERSION}/places/here")
    assert done.code == 1
    assert done.stderr == "Error from server (NotFound): the server could not find the requested resource\n"


def is_available(obj: Any) -> str:
    """Status of the condition, "" where there is none yet."""
    found = (obj.get("status") or {}).get("conditions") or ()
    return next((each["status"] for each in found if each["type"] == "Available"), "")
