"""The webhook that tells Flux of pushes: made of the Receiver's token, and verified by a ping of the host."""

from __future__ import annotations

import asyncio
import hashlib
import time

from nerv.components.flux import webhook
from nerv.components.flux.controllers import NAMESPACE
from nerv.deploy.hosting import hosted
from nerv.deploy.hosting.hosted import Place
from nerv.errors import NervError
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.resources import Resource
from nerv.operations.hosting.request import Request
from nerv.operations.hosting.steps import Desk
from nerv.operations.secrets import files, private_keys
from nerv.rendering import secrets

_RECEIVERS = Resource("notification.toolkit.fluxcd.io", "v1", "receivers", "Receiver")
_POLL_SECONDS = 1.0


def wanted(request: Request) -> bool:
    """Whether the platform has a Receiver and the command does not leave it out."""
    return request.options.webhook and request.platform.spec.components.flux.webhook


async def install(desk: Desk, request: Request, place: Place) -> None:
    """Add it and let GitHub try it. A webhook that does not arrive is told, not refused: Flux looks by itself too."""
    if not wanted(request):
        return
    token = _token(request)
    base = (request.options.webhook_url or f"https://{request.platform.host(webhook.LABEL)}").rstrip("/")
    path = webhook.PATH + hashlib.sha256(f"{token}{webhook.RECEIVER}{NAMESPACE}".encode()).hexdigest()
    before = len(desk.journal.changes)
    number = await hosted.make_webhook(place, f"{base}{path}", token)
    if number is None or desk.journal.dry_run:
        return
    if desk.client is None:
        desk.journal.say("the webhook is verified when Flux runs: run the same command again then")
        return
    if len(desk.journal.changes) == before and await hosted.has_arrived(place, number):
        desk.journal.say("the webhook has arrived before")
        return
    problem = await _not_ready(desk.client, path, request.options.timeout)
    if not problem and desk.journal.change("let GitHub send a ping to the webhook"):
        problem = await hosted.verify_webhook(place, number)
    if problem:
        interval = request.platform.spec.repository.interval
        desk.journal.say(
            f"the webhook is not verified: {problem}. GitHub must reach {base}, with a certificate that it trusts; "
            f"until then Flux looks for commits every {interval}. Run the same command again to try again"
        )
    else:
        desk.journal.say("the webhook arrives")


def _token(request: Request) -> str:
    """What GitHub and the Receiver share. Raises NervError."""
    root, name = request.folder.root, request.platform.name
    for file in secrets.webhook(request.platform):
        held = private_keys.of_user(name).decrypt(files.read(root, file.path), file.path)
        token = (held.get("stringData") or {}).get(secrets.TOKEN_KEY)
        if isinstance(token, str) and token:
            return token
    raise NervError("the webhook's token is not there", "`nerv render` makes it; commit it then")


async def _not_ready(client: Client, path: str, timeout: float) -> str:
    """Wait until the cluster's Receiver answers at the path. Returns what it waits for after `timeout`."""
    deadline = time.monotonic() + timeout
    while True:
        said = "it is not applied yet"
        try:
            found = await client.get(_RECEIVERS, webhook.RECEIVER, NAMESPACE)
            if objects.is_true(found, "Ready") and (found.get("status") or {}).get("webhookPath") == path:
                return ""
            said = (objects.condition(found, "Ready") or {}).get("message", said)
        except errors.NotFound:
            pass
        if time.monotonic() > deadline:
            return f"Receiver {NAMESPACE}/{webhook.RECEIVER}: {said}"
        await asyncio.sleep(_POLL_SECONDS)
