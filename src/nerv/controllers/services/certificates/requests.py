"""CertificateRequests: approved by the internal approver, then signed by their issuer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch, key_of
from nerv.controllers.services.certificates import issuers, keys, resources, signing
from nerv.controllers.services.certificates import status as statuses
from nerv.controllers.services.certificates.issuers import SecretInvalid, SecretMissing, SigningPair
from nerv.controllers.services.certificates.keys import PrivateKey
from nerv.controllers.services.certificates.signing import Issued
from nerv.controllers.services.context import Context
from nerv.controllers.services.webhooks import authority
from nerv.kube import objects
from nerv.kube.objects import Object, timestamp
from nerv.kube.resources import SECRETS

_APPROVED = "Certificate request has been approved by cert-manager.io"
_DENIED = "The CertificateRequest was denied by an approval controller"
_ISSUED = "Certificate fetched from issuer successfully"


def certificate_requests(context: Context) -> Controller:
    """The controller of CertificateRequests."""
    informers = context.informers
    running = Presence.of(informers, resources.CONTROLLER_IMAGE)
    reconciler = _Requests(
        context,
        running,
        informers.of(resources.REQUESTS),
        informers.of(resources.ISSUERS),
        informers.of(resources.CLUSTER_ISSUERS),
        informers.of(SECRETS),
        context.recorder("cert-manager-certificaterequests-issuer-ca"),
    )
    watches = (
        Watch(reconciler.requests, required=False),
        Watch(reconciler.issuers, lambda old, new: reconciler.open_requests(), required=False),
        Watch(reconciler.cluster_issuers, lambda old, new: reconciler.open_requests(), required=False),
        running.watch(reconciler.open_requests),
    )
    return Controller("cert-manager-requests", reconciler.reconcile, watches, clock=context.clock)


class _Pending(Exception):
    """Cannot be signed yet. Arguments: reason, message."""


class _Failed(Exception):
    """Will never be signed. Arguments: reason, message."""


@dataclass(frozen=True)
class _Requests:
    context: Context
    running: Presence
    requests: Informer
    issuers: Informer
    cluster_issuers: Informer
    secrets: Informer
    recorder: EventRecorder

    def open_requests(self) -> Iterable[Key]:
        """What is neither signed nor failed."""
        return [key_of(each) for each in self.requests.list() if not _is_over(each.get("status") or {})]

    async def reconcile(self, key: Key) -> Outcome:
        """Approve, then sign."""
        request = self.requests.get(key.namespace, key.name)
        pod = self.running.leader()
        if request is None or pod is None or objects.deleting(request) or _is_over(request.get("status") or {}):
            return Done()
        if request["spec"]["issuerRef"].get("group", "") not in ("", resources.GROUP):
            return Done()
        status: Object = request.get("status") or {}
        if statuses.find(status, "Approved") is None and statuses.find(status, "Denied") is None:
            words = presence.arguments(pod, resources.CONTROLLER_IMAGE)
            if "--controllers=-certificaterequests-approver" in words:
                return Done()
            status = self._set(status, "Approved", True, "cert-manager.io", _APPROVED)
            self.recorder.event(request, "Normal", "cert-manager.io", _APPROVED)
            request = await self.context.writer.status(resources.REQUESTS, request, status)
        await self._process(request, status)
        return Done()

    async def _process(self, request: Object, status: Object) -> None:
        if statuses.find(status, "Denied") is not None:
            status = self._set(
                status, "Ready", False, "Denied", "The CertificateRequest was denied by an approval controller"
            )
            await self._write(request, {**status, "failureTime": timestamp(self.context.clock.now())})
            return
        try:
            issued = await self._sign(request)
        except _Pending as pending:
            reason, message = pending.args
            self._tell(request, "Normal", reason, message)
            await self._write(request, self._set(status, "Ready", False, "Pending", message))
        except _Failed as failed:
            reason, message = failed.args
            self._tell(request, "Warning", reason, message)
            status = self._set(status, "Ready", False, "Failed", message)
            await self._write(request, {**status, "failureTime": timestamp(self.context.clock.now())})
        else:
            self.recorder.event(request, "Normal", "CertificateIssued", _ISSUED)
            status = self._set(status, "Ready", True, "Issued", _ISSUED)
            signed = {"certificate": _encoded(issued.chain), "ca": _encoded(issued.authority)}
            await self._write(request, {**status, **signed})

    async def _write(self, request: Object, status: Object) -> None:
        await self.context.writer.status(resources.REQUESTS, request, status)

    def _set(self, status: Object, type: str, value: bool, reason: str, message: str) -> Object:
        return statuses.with_condition(status, type, value, reason, message, None, self.context.clock.now())

    def _tell(self, request: Object, type: str, reason: str, message: str) -> None:
        ready = objects.condition(request, "Ready")
        if ready is None or ready.get("message") != message:
            self.recorder.event(request, type, reason, message)

    async def _sign(self, request: Object) -> Issued:
        reference = request["spec"]["issuerRef"]
        issuer = self._issuer(request, reference)
        if not objects.is_true(issuer, "Ready"):
            raise _Pending("IssuerNotReady", "Referenced issuer does not have a Ready status condition")
        if "selfSigned" in issuer["spec"]:
            key, chain, place = self._own_key(request), [], issuer["spec"]["selfSigned"]
        else:
            pair = self._authority(issuer)
            key, chain, place = pair.key, pair.chain, issuer["spec"]["ca"]
        try:
            # a signature with RSA takes milliseconds
            return await asyncio.to_thread(signing.sign, request["spec"], key, chain, self.context.clock.now(), place)
        except ValueError as error:
            raise _Failed("SigningError", f"Error signing certificate: {error}") from None

    def _own_key(self, request: Object) -> PrivateKey:
        """The key that a self-signed certificate is signed with: the request names its Secret."""
        name = objects.annotations(request).get(resources.KEY_SECRET, "")
        if not name:
            text = f'Annotation "{resources.KEY_SECRET}" missing or reference empty: secret name missing'
            raise _Failed("MissingAnnotation", text)
        space = objects.namespace(request)
        secret = self.secrets.get(space, name)
        if secret is None:
            text = f'Referenced secret {space}/{name} not found: secrets "{name}" not found'
            raise _Pending("MissingSecret", text)
        try:
            return keys.decode(authority.text(secret, "tls.key"))
        except ValueError:
            raise _Pending("ErrorParsingKey", f'Failed to get key "{name}" referenced in annotation') from None

    def _authority(self, issuer: Object) -> SigningPair:
        space = issuers.resource_namespace(issuer, self.running)
        name = issuer["spec"]["ca"]["secretName"]
        try:
            return issuers.signing_pair(self.secrets, space, name)
        except SecretMissing as error:
            raise _Pending("SecretMissing", f"Referenced secret {space}/{name} not found: {error}") from None
        except SecretInvalid as error:
            text = f"Failed to parse signing CA keypair from secret {space}/{name}: {error}"
            raise _Pending("SecretInvalidData", text) from None

    def _issuer(self, request: Object, reference: Object) -> Object:
        kind = reference.get("kind") or "Issuer"
        name = reference["name"]
        if kind == "ClusterIssuer":
            found = self.cluster_issuers.get(None, name)
        else:
            found = self.issuers.get(objects.namespace(request), name)
        if found is None:
            plural = f"{kind.lower()}.cert-manager.io"
            text = f'Referenced "{kind}" not found: {plural} "{name}" not found'
            raise _Pending("IssuerNotFound", text)
        return found


def _is_over(status: Object) -> bool:
    ready = statuses.find(status, "Ready")
    if ready is None:
        return False
    return ready["status"] == "True" or ready.get("reason") in ("Failed", "Denied")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
