"""The start-up check of cert-manager's chart: is the API usable, with both webhooks answering?

It is a container's program: it acts with the account of its pod, waits as long as it is told, and its result is the
exit code. Questions and messages of pkg/util/cmapichecker of cert-manager 1.18.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Sequence

from nerv.controllers.services.certificates import durations, keys, resources, signing
from nerv.controllers.services.context import ClientFor
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object

INTERVAL = 5.0
"""Seconds between two tries."""
_DENIED = re.compile(r'admission webhook "webhook\.cert-manager\.io" denied the request: ')
_MISSING = re.compile(r"could not find the requested resource|no matches for kind|the server could not find")
_MEANINGS = (
    (re.compile(r'service ".*-webhook" not found'), "the cert-manager webhook service is not created yet"),
    (
        re.compile(r"connect: connection refused|no endpoints available"),
        "the cert-manager webhook deployment is not ready yet",
    ),
    (
        re.compile(r"x509: certificate signed by unknown authority"),
        "the cert-manager webhook CA bundle is not injected yet",
    ),
    (re.compile(r"certificaterequests\.cert-manager\.io is forbidden"), "failed to check the cert-manager API"),
)


async def run(client_for: ClientFor, pod: Object, arguments: Sequence[str], log: Callable[[str], None]) -> int:
    """Exit code: 0 once the API is ready, 124 when time is up, 1 when it was asked only once."""
    space, account = objects.namespace(pod), pod["spec"].get("serviceAccountName") or "default"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{space}", "system:authenticated")
    client = client_for(f"system:serviceaccount:{space}:{account}", groups)
    limit = _wait(arguments)
    begun = asyncio.get_running_loop().time()
    while True:
        problem = await check(client, space)
        if not problem:
            log("The cert-manager API is ready")
            return 0
        log(f"Not ready: {problem}")
        if asyncio.get_running_loop().time() - begun > limit:
            log(f"error: {problem}")
            return 124 if limit else 1
        await asyncio.sleep(INTERVAL)


async def check(client: Client, namespace: str) -> str:
    """What is missing; empty when both webhooks do their work."""
    key = keys.generate({"privateKey": {"algorithm": "ECDSA", "size": 521}})
    good = base64.b64encode(signing.request({"dnsNames": ["example.com"]}, key).encode()).decode()
    try:
        answer = await client.create(resources.REQUESTS, _request("valid", good, namespace), dry_run=True)
    except errors.ApiError as error:
        return _meaning(error.message)
    spec = answer.get("spec") or {}
    if not spec.get("username") and not spec.get("uid"):
        return "the cert-manager mutation webhook did not mutate the dry-run CertificateRequest object"
    bad = base64.b64encode(b"invalid-csr").decode()
    try:
        await client.create(resources.REQUESTS, _request("invalid", bad, namespace), dry_run=True)
    except errors.ApiError as error:
        return "" if _DENIED.search(error.message) else _meaning(error.message)
    return "the cert-manager validating webhook did not validate the dry-run CertificateRequest object"


def _request(name: str, encoded: str, namespace: str) -> Object:
    return {
        "apiVersion": resources.API_VERSION,
        "kind": "CertificateRequest",
        "metadata": {"generateName": f"cmapichecker-{name}-", "namespace": namespace},
        "spec": {"request": encoded, "issuerRef": {"name": "cmapichecker"}},
    }


def _meaning(message: str) -> str:
    if _MISSING.search(message):
        return "the cert-manager CRDs are not yet installed on the Kubernetes API server"
    return next((text for pattern, text in _MEANINGS if pattern.search(message)), message)


def _wait(arguments: Sequence[str]) -> float:
    for word in arguments:
        if word.startswith("--wait="):
            return durations.parse(word.partition("=")[2]).total_seconds()
    return 0.0
