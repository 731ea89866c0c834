"""Receiver: a secret path below /hook/, and whether the token that makes it is there."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from nerv.controllers.flux import durations
from nerv.controllers.flux.api import READY
from nerv.controllers.flux.draft import Draft
from nerv.controllers.runtime import Done, EventRecorder, Key, Outcome, Requeue, RetryAfter
from nerv.errors import NervError
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS

PATH = "/hook/"
UNSUPPORTED = ("gcr", "cdevents")
"""Types whose senders are not verified here: one asks Google, one needs the event catalogue of its SDK."""


class TokenError(NervError):
    """The Secret of a Receiver is not there or holds no token. Worded as Flux words it."""


async def token(client: Client, receiver: Object) -> str:
    """What sender and Receiver share. Raises TokenError."""
    namespace, name = objects.namespace(receiver), receiver["spec"]["secretRef"]["name"]
    try:
        secret = await client.get(SECRETS, name, namespace)
    except errors.ApiError as error:
        raise TokenError(f"unable to read token from secret '{namespace}/{name}' error: {error}") from None
    try:
        return base64.b64decode(secret["data"]["token"]).decode()
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        raise TokenError(f"invalid '{namespace}/{name}' secret data: required fields 'token'") from None


def webhook_path(token: str, name: str, namespace: str) -> str:
    """Where the Receiver is asked: only who knows the token knows it. Pure."""
    return PATH + hashlib.sha256(f"{token}{name}{namespace}".encode()).hexdigest()


@dataclass(frozen=True)
class ReceiverReconciler:
    """Keeps `status.webhookPath` and the conditions."""

    client: Client
    draft_of: Callable[[Key], Draft | None]
    events: EventRecorder

    async def reconcile(self, key: Key) -> Outcome:
        """See `Controller`."""
        draft = self.draft_of(key)
        if draft is None:
            return Done()
        if objects.deleting(draft.obj):
            await draft.remove_finalizer()
            return Done()
        await draft.add_finalizer()
        if draft.spec.get("suspend"):
            return Done()
        draft.handled()
        if draft.spec["type"] in UNSUPPORTED:
            return await self._unsupported(draft)
        draft.reconciling("Progressing", "Reconciliation in progress")
        try:
            shared = await token(self.client, draft.obj)
        except TokenError as error:
            return await self._no_token(draft, error)
        draft.status["webhookPath"] = webhook_path(shared, draft.name, draft.namespace)
        draft.drop("Reconciling")
        draft.mark(READY, "True", "Succeeded", f"Receiver initialized for path: {draft.status['webhookPath']}")
        draft.observed()
        await draft.save()
        interval = durations.parse(draft.spec.get("interval") or "10m0s")
        message = f"Reconciliation finished, next run in {durations.text(interval)}"
        self.events.event(draft.obj, "Normal", "Succeeded", message)
        return RetryAfter(interval)

    async def _no_token(self, draft: Draft, error: TokenError) -> Outcome:
        draft.status.pop("webhookPath", None)
        draft.mark(READY, "False", "TokenNotFound", error.message)
        draft.reconciling("ProgressingWithRetry", "Reconciliation in progress")
        await draft.save()
        self.events.event(draft.obj, "Warning", "Failed", error.message)
        return Requeue()

    async def _unsupported(self, draft: Draft) -> Outcome:
        message = f"webhooks of type {draft.spec['type']} cannot be verified by this engine, use another type"
        draft.status.pop("webhookPath", None)
        draft.mark(READY, "False", "UnsupportedReceiverType", message)
        draft.stalled("UnsupportedReceiverType", message)
        draft.observed()
        await draft.save()
        return Done()
