"""The real kubectl against the real server: every installed one, the newest of the environment among them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support.apiserver import kubeconfig, running, serving

from nerv.apiserver.identity import ADMIN
from nerv.apiserver.server import ApiServer
from nerv.kube.resources import DEPLOYMENTS, SERVICE_ACCOUNTS

_OURS = Path(sys.executable).parent / "kubectl"
_SYSTEM = Path("/usr/bin/kubectl")
_KUBECTLS = [path for path in (_OURS, _SYSTEM) if path.exists()]

Kubectl = Callable[..., Awaitable[str]]

_MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx, ports: [{containerPort: 80}]}
"""
_DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: How large it is.}
              colour: {type: string, default: blue}
            x-kubernetes-validations: [{rule: self.size < 100, message: too large}]
          status: {type: object, properties: {size: {type: integer}}}
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with running(tmp_path, serving=serving()) as made:
        yield made


@pytest.fixture(params=_KUBECTLS, ids=[path.parent.name for path in _KUBECTLS])
def kubectl(server: ApiServer, tmp_path: Path, request: pytest.FixtureRequest) -> Kubectl:
    """Runs kubectl and returns what it printed; asserts its exit code."""
    config = kubeconfig(server, tmp_path)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(config)}

    async def run(*arguments: str, stdin: str = "", code: int = 0) -> str:
        child = await asyncio.create_subprocess_exec(
            str(request.param),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )
        output, _ = await child.communicate(stdin.encode())
        assert child.returncode == code, output.decode()
        return output.decode()

    return run


async def test_apply_is_idempotent_and_merges_three_ways(kubectl: Kubectl, server: ApiServer) -> None:
    assert "deployment.apps/web created" in await kubectl("apply", "-f", "-", stdin=_MANIFEST)
    assert "deployment.apps/web unchanged" in await kubectl("apply", "-f", "-", stdin=_MANIFEST)
    await kubectl("scale", "deployment", "web", "--replicas=3")
    changed = _MANIFEST.replace("image: nginx", "image: nginx:2")
    assert "deployment.apps/web configured" in await kubectl("apply", "-f", "-", stdin=changed)
    web = await server.direct(ADMIN).get(DEPLOYMENTS, "web", "default")
    assert web["spec"]["replicas"] == 3
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"
    await kubectl("diff", "-f", "-", stdin=changed)
    difference = await kubectl("diff", "-f", "-", stdin=changed.replace("nginx:2", "nginx:3"), code=1)
    assert "image: nginx:3" in difference


async def test_server_side_apply_conflicts_and_forces(kubectl: Kubectl) -> None:
    await kubectl("apply", "--server-side", "-f", "-", stdin=_MANIFEST)
    other = _MANIFEST.replace("image: nginx", "image: nginx:9")
    refused = await kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other, code=1)
    assert 'conflict with "kubectl": .spec.template.spec.containers[name="web"].image' in refused
    await kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=other)
    shown = json.loads(await kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
    assert {item["manager"] for item in shown["metadata"]["managedFields"]} == {"kubectl", "other"}


async def test_reading(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=_MANIFEST)
    lines = (await kubectl("get", "deployments")).splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[1].split()[:2] == ["web", "0/1"]
    assert "service/kubernetes" in await kubectl("get", "all", "-A")
    assert "StrategyType:           RollingUpdate" in await kubectl("describe", "deployment", "web")
    assert "No resources found" in await kubectl("get", "events")
    assert "FIELD: replicas <integer>" in await kubectl("explain", "deployment.spec.replicas")
    assert "deployments" in await kubectl("api-resources", "--api-group=apps")
    assert "apps/v1" in await kubectl("api-versions")
    assert "Server Version: v1.31" in await kubectl("version")
    assert "Metrics API not available" in await kubectl("top", "pods", code=1)


async def test_watching(kubectl: Kubectl) -> None:
    watching = asyncio.ensure_future(kubectl("get", "configmaps", "-w", "--request-timeout=3s", "-o", "name", code=0))
    seen = asyncio.ensure_future(kubectl("wait", "--for=create", "configmap/late", "--timeout=20s"))
    await kubectl("create", "configmap", "late", "--from-literal=a=b")
    assert "configmap/late condition met" in await seen
    assert "configmap/late" in await watching


async def test_changing(kubectl: Kubectl) -> None:
    await kubectl("create", "namespace", "team")
    await kubectl("create", "deployment", "web", "--image=nginx", "-n", "team")
    in_team = ("-n", "team")
    await kubectl("label", "deployment", "web", "tier=front", *in_team)
    await kubectl("annotate", "deployment", "web", "note=yes", *in_team)
    await kubectl("set", "image", "deployment/web", "nginx=nginx:2", *in_team)
    await kubectl("rollout", "restart", "deployment/web", *in_team)
    strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","env":[{"name":"A","value":"1"}]}]}}}}'
    await kubectl("patch", "deployment", "web", "-p", strategic, *in_team)
    await kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":4}}', *in_team)
    pointer = '[{"op":"replace","path":"/spec/replicas","value":2}]'
    await kubectl("patch", "deployment", "web", "--type=json", "-p", pointer, *in_team)
    web = json.loads(await kubectl("get", "deployment", "web", "-o", "json", *in_team))
    container = web["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("nginx:2", [{"name": "A", "value": "1"}])
    assert (web["metadata"]["labels"]["tier"], web["spec"]["replicas"]) == ("front", 2)
    await kubectl("expose", "deployment", "web", "--port=80", *in_team)
    await kubectl("wait", "--for=jsonpath={.spec.replicas}=2", "deployment/web", "--timeout=10s", *in_team)
    assert "deleted" in await kubectl("delete", "deployment", "web", *in_team)
    assert "Terminating" in await _terminating(kubectl)


async def _terminating(kubectl: Kubectl) -> str:
    await kubectl("delete", "namespace", "team", "--wait=false")
    return await kubectl("get", "namespace", "team")


async def test_pods_and_tokens(kubectl: Kubectl, server: ApiServer) -> None:
    await kubectl("run", "one", "--image=nginx")
    assert "one" in await kubectl("get", "pods", "-o", "wide")
    assert await kubectl("logs", "one") == ""
    assert (await kubectl("create", "token", "default")).count(".") == 2
    assert await server.direct(ADMIN).get(SERVICE_ACCOUNTS, "default", "default")
    await kubectl("delete", "pod", "one", "--wait")


async def test_permissions(kubectl: Kubectl) -> None:
    assert "yes" in await kubectl("auth", "can-i", "create", "pods")
    assert "no" in await kubectl("auth", "can-i", "create", "pods", "--as=bob", code=1)
    assert "admin" in await kubectl("auth", "whoami")
    assert 'User "bob" cannot list resource "pods"' in await kubectl("get", "pods", "--as=bob", code=1)


async def test_custom_resources(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=_DEFINITION)
    await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 2}\n"
    await kubectl("apply", "-f", "-", stdin=widget)
    lines = (await kubectl("get", "wd")).splitlines()
    assert [line.split() for line in lines] == [["NAME", "SIZE"], ["w", "2"]]
    assert "How large it is." in await kubectl("explain", "widget.spec.size")
    assert await kubectl("get", "widget", "w", "-o", "jsonpath={.spec.colour}") == "blue"
    await kubectl("scale", "widget", "w", "--replicas=5")
    assert await kubectl("get", "widget", "w", "-o", "jsonpath={.spec.size}") == "5"
    assert "too large" in await kubectl("apply", "-f", "-", stdin=widget.replace("2", "200"), code=1)
    assert "spec.size" in await kubectl("apply", "-f", "-", stdin=widget.replace("2", "0"), code=1)
    unknown = widget.replace("size: 2", "size: 2, wrong: 1")
    assert 'unknown field "spec.wrong"' in await kubectl("apply", "-f", "-", stdin=unknown, code=1)
    await kubectl("delete", "crd", "widgets.example.com")
    assert "could not find the requested resource" in await kubectl("get", "widgets", code=1)
