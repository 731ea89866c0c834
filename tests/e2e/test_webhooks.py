"""Webhooks by URL on a platform as users run it: what the definition names on this machine is asked, and nothing else.

A server in a pod is asked in tests/engines/test_webhooks.py, cert-manager's webhook in test_main_job.py.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.support import commands
from tests.support.commands import Home, eventually
from tests.support.platforms import SMALL
from typing_extensions import override

from nerv import certificates

pytestmark = [pytest.mark.timeout(300)]
ENGINES = ("embedded", pytest.param("upstream", marks=commands.NEEDS_UPSTREAM))
AUTHORITY = certificates.create_ca("hooks")


class Hook(ThreadingHTTPServer):
    """A webhook that denies everything."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        leaf = certificates.issue(AUTHORITY, "hook", names=["localhost", "127.0.0.1"])
        files = folder / "hook.crt", folder / "hook.key"
        for file, text in zip(files, (leaf.certificate, leaf.key), strict=True):
            file.touch(mode=0o600)
            file.write_text(text)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(review["request"]["name"])
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": "not here"}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({**review, "request": None, "response": answer}).encode())

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    with Hook(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, name="hook")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=ENGINES)
def home(tmp_path: Path, hook: Hook, request: pytest.FixtureRequest) -> Iterator[Home]:
    """A cluster with nothing in it, whose definition names the server on this machine."""
    home = Home.at(tmp_path)
    home.folder.mkdir()
    url = f"https://localhost:{hook.server_port}/you/home.git\n    provider: generic"
    (home.folder / "nerv.yaml").write_text(SMALL.replace("https://github.com/you/home.git", url))
    home.nerv("init", str(home.folder))
    with commands.up(home, "--bare", "--engine", request.param) as running:
        yield running


def _refused(home: Home, name: str, url: str, authority: str) -> str:
    """What kubectl says of a ConfigMap that a webhook at `url` checks."""
    webhook = {
        "name": f"{name}.example.com",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(authority.encode()).decode()},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
        "matchConditions": [{"name": "named", "expression": f"object.metadata.name == '{name}'"}],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }
    file = home.folder.parent / f"{name}.json"
    file.write_text(json.dumps(configuration))
    home.kubectl("create", "-f", str(file))
    kubeconfig = str(home.folder / ".nerv" / "kubeconfig")
    create = ("kubectl", "--kubeconfig", kubeconfig, "create", "configmap", name, "--dry-run=server")
    # a real API server learns of a webhook a little later
    said: str = eventually(lambda: home.run(*create, code=None).stderr, f"the webhook {name} to be asked")
    return said


def test_urls_lead_where_the_proxy_lets_them(home: Home, hook: Hook) -> None:
    port = hook.server_port
    said = _refused(home, "named", f"https://localhost:{port}/check", AUTHORITY.certificate)
    denied = 'admission webhook "named.example.com" denied the request: not here'
    assert said == f"error: failed to create configmap: {denied}\n"
    assert set(hook.asked) == {"named"}
    hook.asked.clear()

    said = _refused(home, "loopback", f"https://127.0.0.1:{port}/check", AUTHORITY.certificate)
    assert "offline: 127.0.0.1 is not mirrored here" in said
    assert hook.asked == []

    # the API server itself answers at the cluster's address
    authority = _cluster_authority(home)
    said = _refused(home, "inside", "https://10.43.0.1/check", authority)
    assert said.endswith('failed to call webhook: forbidden: User "system:anonymous" cannot post path "/check"\n')


def _cluster_authority(home: Home) -> str:
    name = "kube-root-ca.crt"
    eventually(lambda: home.kubectl("get", "configmap", name, "-o", "name", code=None), f"the ConfigMap {name}")
    authority: str = home.get("configmap", name)["data"]["ca.crt"]
    return authority
