"""The HTTP server behind Service webhook-receiver: a verified webhook asks for reconciliations."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nerv.controllers.flux.api import READY, REQUESTED_AT
from nerv.controllers.flux.notification import receiver, validation
from nerv.controllers.flux.notification.validation import Hook
from nerv.controllers.runtime import Informer
from nerv.errors import NervError
from nerv.http.messages import Request, Response
from nerv.kube import cel, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object

_log = logging.getLogger(__name__)
BY_PATH = "path of a webhook"
_VERSIONS = {
    "Bucket": "source.toolkit.fluxcd.io/v1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "HelmChart": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "ImageRepository": "image.toolkit.fluxcd.io/v1beta2",
}


def path_of(found: Object) -> tuple[str, ...]:
    """The index of Receivers by their path."""
    path = (found.get("status") or {}).get("webhookPath")
    return (path,) if path else ()


@dataclass(frozen=True)
class Webhooks:
    """Answers requests to /hook/. `acting` gives the client of the pod that is asked, with its permissions."""

    receivers: Informer
    acting: Callable[[], Client]
    now: Callable[[], datetime.datetime]

    async def handle(self, request: Request) -> Response:
        """200 when everything was asked to reconcile; else the codes of notification-controller, without a body."""
        if not request.path.startswith(receiver.PATH):
            return _answer(404)
        found = next(iter(self.receivers.indexed(BY_PATH, request.path)), None)
        if found is None:
            return _answer(404)
        if found["spec"].get("suspend") or not objects.is_true(found, READY):
            return _answer(503)
        hook = Hook(request.headers, request.body)
        client = self.acting()
        try:
            token = await receiver.token(client, found)
            validation.validate(found["spec"]["type"], found["spec"].get("events") or [], hook, token)
        except NervError as error:
            _log.warning("Receiver %s: unable to validate payload: %s", objects.key(found), error.message)
            return _answer(400)
        asked = [await self._ask(client, found, reference, hook) for reference in found["spec"]["resources"]]
        return _answer(200 if all(asked) else 500)

    async def _ask(self, client: Client, found: Object, reference: Object, hook: Hook) -> bool:
        """Ask what a reference names to reconcile. Returns whether that worked."""
        try:
            for obj in await _referred(client, reference, objects.namespace(found)):
                if _chosen(found["spec"].get("resourceFilter"), obj, hook):
                    await self._annotate(client, obj)
        except (NervError, cel.CelError) as error:
            _log.warning("Receiver %s: unable to request reconciliation: %s", objects.key(found), error)
            return False
        return True

    async def _annotate(self, client: Client, obj: Object) -> None:
        resource = await client.resource_for(obj["apiVersion"], obj["kind"])
        patch = {"metadata": {"annotations": {REQUESTED_AT: self.now().isoformat()}}}
        await client.patch(resource, objects.name(obj), objects.namespace(obj), patch)
        _log.info("resource '%s/%s.%s' annotated", obj["kind"], objects.name(obj), objects.namespace(obj))


def _answer(status: int) -> Response:
    return Response(status, b"", "text/plain; charset=utf-8")


async def _referred(client: Client, reference: Object, default_namespace: str) -> list[Object]:
    """The objects that a reference names. Raises NervError, ApiError."""
    kind, name = reference["kind"], reference["name"]
    version = reference.get("apiVersion") or _VERSIONS.get(kind)
    if not version:
        raise NervError(f"apiVersion must be specified for kind '{kind}'")
    resource = await client.resource_for(version, kind)
    namespace = reference.get("namespace") or default_namespace
    if name != "*":
        return [await client.get(resource, name, namespace)]
    if not reference.get("matchLabels"):
        raise NervError("matchLabels field not set when using wildcard '*' as name")
    selector = ",".join(f"{label}={value}" for label, value in reference["matchLabels"].items())
    listed = await client.list(resource, namespace, label_selector=selector)
    return listed.items


def _chosen(expression: str | None, obj: Object, hook: Hook) -> bool:
    """Whether the Receiver's filter takes the object. Raises NervError, CelError."""
    if not expression:
        return True
    seen: dict[str, Any] = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": obj["metadata"]}
    taken = cel.evaluate(expression, {"req": validation.payload(hook), "res": seen})
    if not isinstance(taken, bool):
        raise NervError(f"the expression {expression!r} is not a condition")
    return taken
