"""The real source-controller in a pod of the upstream engine, and a server with an authority of its own.

The embedded engine's is held to the same in tests/controllers/flux/test_sources_outside.py.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import commands
from tests.support.apiserver import authority
from tests.support.engines import DRIVERS, Machine, engine, https_program, serve
from tests.support.nodes import is_ready, pod

import nerv.components.flux
from nerv import certificates, documents
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import CLUSTER_ROLE_BINDINGS, CUSTOM_RESOURCE_DEFINITIONS, PODS, SECRETS
from nerv.operations import engines
from nerv.operations.kinds import HELM_REPOSITORIES
from nerv.operations.rewrites import REWRITES

pytestmark = [pytest.mark.timeout(180), commands.NEEDS_UPSTREAM]
IMAGE = "fluxcd/source-controller"
_DEFINITIONS = Path(nerv.components.flux.__file__).with_name("crds.yaml")
_HANDLER = """
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"apiVersion: v1\\nentries: {one: [{name: one, version: 1.0.0, urls: [one-1.0.0.tgz]}]}\\n")
"""


@pytest.fixture(params=DRIVERS)
async def machine(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Machine]:
    """The engine with Flux's kinds; its programs trust the tests' authority."""
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text(authority().certificate)
    controller = engines.create(engines.UPSTREAM).programs(ca_file)[IMAGE]
    programs = {
        IMAGE: replace(controller, rewrites=REWRITES[IMAGE]),
        "charts": https_program(_HANDLER),
    }
    async with engine(engines.UPSTREAM, tmp_path, programs, request.param) as running:
        for definition in documents.load_all(_DEFINITIONS.read_bytes()):
            await running.world.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
        yield running


async def _run_controller(machine: Machine) -> None:
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": "source-controller"}, "roleRef": role, "subjects": [subject]}
    await machine.world.create(CLUSTER_ROLE_BINDINGS, binding)
    container: Any = {
        "env": [{"name": "RUNTIME_NAMESPACE", "value": "default"}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 9090}},
    }
    arguments = ("--storage-path=/data", "--storage-adv-addr=source-controller.default.svc", "--storage-addr=:9090")
    volumes = [{"name": name, "emptyDir": {}} for name in ("data", "tmp")]
    await machine.world.create(PODS, pod("source-controller", IMAGE, *arguments, container=container, volumes=volumes))
    await machine.world.wait(PODS, "source-controller", is_ready)


async def test_a_helm_repository_with_an_authority_of_its_own_is_trusted_by_its_secret(machine: Machine) -> None:
    world = machine.world
    theirs = certificates.create_ca("somebody else's")
    await serve(machine, "charts", theirs)
    await _run_controller(machine)
    spec = {"url": "https://charts.default.svc.cluster.local/", "interval": "1m0s"}
    await world.create(
        HELM_REPOSITORIES,
        {
            "apiVersion": HELM_REPOSITORIES.api_version,
            "kind": "HelmRepository",
            "metadata": {"name": "charts"},
            "spec": spec,
        },
    )
    await world.wait(HELM_REPOSITORIES, "charts", lambda obj: "signed by unknown authority" in _said(obj))

    data = {"ca.crt": base64.b64encode(theirs.certificate.encode()).decode()}
    await world.create(SECRETS, {"metadata": {"name": "theirs"}, "data": data})
    change = {"spec": {"certSecretRef": {"name": "theirs"}}}
    await world.client.patch(HELM_REPOSITORIES, "charts", "default", change)
    await world.wait(HELM_REPOSITORIES, "charts", is_ready)


def _said(obj: Object) -> str:
    found = objects.condition(obj, "Ready")
    return found["message"] if found else ""
