"""Certificates: issued when they must be, renewed in time, their status told. One reconciliation does what the real
controllers (trigger, key manager, request manager, issuing, readiness, revisions) do one after the other."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import (
    Controller,
    Done,
    EventRecorder,
    Informer,
    Key,
    Outcome,
    RetryAfter,
    Watch,
    key_of,
)
from nerv.controllers.services.certificates import durations, keys, policies, resources, signing
from nerv.controllers.services.certificates import secret as contents
from nerv.controllers.services.certificates import status as statuses
from nerv.controllers.services.context import Context
from nerv.controllers.services.webhooks import authority
from nerv.kube import errors, objects
from nerv.kube.objects import Object, timestamp
from nerv.kube.resources import SECRETS

_READY = "Certificate is up to date and has not expired"
_DONE = "The certificate has been successfully issued"
_HISTORY = 1


def certificates(context: Context) -> Controller:
    """The controller of Certificates."""
    informers = context.informers
    running = Presence.of(informers, resources.CONTROLLER_IMAGE)
    reconciler = _Certificates(
        context,
        running,
        informers.of(resources.CERTIFICATES),
        informers.of(resources.REQUESTS),
        informers.of(SECRETS),
        context.recorder("cert-manager-certificates-issuing"),
    )
    watches = (
        Watch(reconciler.certificates, required=False),
        Watch(reconciler.requests, reconciler.request_changed, required=False),
        Watch(reconciler.secrets, reconciler.secret_changed),
        running.watch(lambda: [key_of(each) for each in reconciler.certificates.list()]),
    )
    return Controller("cert-manager-certificates", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Certificates:
    context: Context
    running: Presence
    certificates: Informer
    requests: Informer
    secrets: Informer
    recorder: EventRecorder

    def request_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The Certificate that owns the request."""
        request = new if new is not None else old
        owner = objects.controller_of(request) if request is not None else None
        if request is not None and owner is not None and owner["kind"] == "Certificate":
            yield Key(objects.namespace(request), owner["name"])

    def secret_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Certificates that write this Secret, or whose next key it is."""
        secret = new if new is not None else old
        if secret is None:
            return
        name, space = objects.name(secret), objects.namespace(secret)
        for each in self.certificates.list(space):
            if name in (each["spec"]["secretName"], (each.get("status") or {}).get("nextPrivateKeySecretName")):
                yield key_of(each)

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one Certificate a step further, and come back when it must be renewed."""
        certificate = self.certificates.get(key.namespace, key.name)
        pod = self.running.leader()
        if certificate is None or pod is None or objects.deleting(certificate):
            return Done()
        status: Object = dict(certificate.get("status") or {})
        wait: float | None = None
        issuing = statuses.find(status, "Issuing")
        if issuing is None or issuing["status"] != "True":
            status, wait = self._trigger(certificate, status)
        if objects.is_true({"status": status}, "Issuing"):
            status = await self._issue(certificate, status, pod)
        status = self._readiness(certificate, status)
        certificate = await self.context.writer.status(resources.CERTIFICATES, certificate, status)
        await self._forget(certificate)
        return self._next(status, wait)

    def _input(self, certificate: Object, status: Object) -> policies.Input:
        secret = self.secrets.get(objects.namespace(certificate), certificate["spec"]["secretName"])
        return policies.Input(certificate, secret, self._request(certificate, status.get("revision") or 0))

    def _request(self, certificate: Object, revision: int) -> Object | None:
        return next((each for each in self._owned(certificate) if _revision(each) == revision), None)

    def _owned(self, certificate: Object) -> list[Object]:
        uid = objects.uid(certificate)
        listed = self.requests.list(objects.namespace(certificate))
        return [each for each in listed if (objects.controller_of(each) or {}).get("uid") == uid]

    def _trigger(self, certificate: Object, status: Object) -> tuple[Object, float | None]:
        """Begin to issue where that is needed and not too soon after a failure."""
        now = self.context.clock.now()
        violation = policies.trigger(self._input(certificate, status), now)
        if violation is None:
            return status, None
        issuing = statuses.find(status, "Issuing") or {}
        same_spec = issuing.get("observedGeneration") in (None, objects.generation(certificate))
        wait = policies.back_off(certificate, now) if same_spec else 0.0
        if wait > 0:
            return status, wait
        self.recorder.event(certificate, "Normal", "Issuing", violation.message)
        generation = objects.generation(certificate)
        reason, message = violation.reason, violation.message
        return statuses.with_condition(status, "Issuing", True, reason, message, generation, now), None

    async def _issue(self, certificate: Object, status: Object, pod: Object) -> Object:
        key_secret = await self._next_key(certificate, status)
        status = {**status, "nextPrivateKeySecretName": objects.name(key_secret)}
        revision = int(status.get("revision") or 0) + 1
        key_pem = authority.text(key_secret, "tls.key")
        request = await self._next_request(certificate, revision, objects.name(key_secret), key_pem)
        if request is None:
            return status
        ready = objects.condition(request, "Ready")
        if ready is None or (ready["status"] != "True" and ready.get("reason") not in ("Failed", "Denied")):
            return status
        if ready["status"] != "True":
            return self._failed(certificate, status, request, ready)
        await self._write_secret(certificate, request, key_pem, pod)
        self.recorder.event(certificate, "Normal", "Issuing", _DONE)
        await self.context.writer.delete(SECRETS, key_secret)
        dropped = ("nextPrivateKeySecretName", "lastFailureTime", "failedIssuanceAttempts")
        kept = {name: value for name, value in status.items() if name not in dropped}
        return {**statuses.without_condition(kept, "Issuing"), "revision": revision}

    def _failed(self, certificate: Object, status: Object, request: Object, ready: Object) -> Object:
        now = self.context.clock.now()
        text = f"The certificate request has failed to complete and will be retried: {ready.get('message', '')}"
        reason = ready.get("reason", "Failed")
        self.recorder.event(certificate, "Warning", reason, text)
        status = statuses.with_condition(status, "Issuing", False, reason, text, objects.generation(certificate), now)
        attempts = int(status.get("failedIssuanceAttempts") or 0) + 1
        return {**status, "lastFailureTime": timestamp(now), "failedIssuanceAttempts": attempts}

    async def _next_key(self, certificate: Object, status: Object) -> Object:
        """The Secret with the key of the revision that is being made."""
        space, spec = objects.namespace(certificate), certificate["spec"]
        named = status.get("nextPrivateKeySecretName")
        present = self.secrets.get(space, named) if named else None
        present = present or next(
            (
                each
                for each in self.secrets.list(space)
                if objects.labels(each).get(resources.NEXT_KEY) == "true"
                and (objects.controller_of(each) or {}).get("uid") == objects.uid(certificate)
            ),
            None,
        )
        if present is not None and _fits(present, spec):
            return present
        if present is not None:
            await self.context.writer.delete(SECRETS, present)
        current = self.secrets.get(space, spec["secretName"])
        policy = (spec.get("privateKey") or {}).get("rotationPolicy") or "Always"
        if policy == "Never" and current is not None and _fits(current, spec):
            pem = authority.text(current, "tls.key")
            told = ("Reused", f'Reusing private key stored in existing Secret resource "{spec["secretName"]}"')
        else:
            pem = await asyncio.to_thread(lambda: keys.encode(keys.generate(spec), spec))
            told = ("Generated", "")
        name = f"{objects.name(certificate)[:52]}-{secrets.token_hex(3)[:5]}"
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "namespace": space,
                "labels": {resources.NEXT_KEY: "true", resources.MANAGED: "true"},
                "ownerReferences": [objects.owner_reference(_typed(certificate))],
            },
            "data": authority.encode({"tls.key": pem}),
        }
        created = await self.context.writer.create(SECRETS, secret, space)
        text = told[1] or f'Stored new private key in temporary Secret resource "{name}"'
        self.recorder.event(certificate, "Normal", told[0], text)
        return created

    async def _next_request(self, certificate: Object, revision: int, key_name: str, key_pem: str) -> Object | None:
        """The request of this revision; None while a stale one goes away."""
        spec, key = certificate["spec"], keys.decode(key_pem)
        present = self._request(certificate, revision)
        if present is not None:
            csr = signing.load_request(present["spec"]["request"])
            matches = policies.request_violations(spec, present, csr, key) == []
            finished = (objects.condition(present, "Ready") or {}).get("reason") in ("Failed", "Denied")
            begun = statuses.find(certificate.get("status") or {}, "Issuing") or {}
            old = present["metadata"].get("creationTimestamp", "") < begun.get("lastTransitionTime", "")
            if matches and not (finished and old):
                return present
            await self.context.writer.delete(resources.REQUESTS, present)
        try:
            pem = await asyncio.to_thread(signing.request, spec, key)
        except ValueError as error:
            self.recorder.event(
                certificate, "Warning", "RequestFailed", f"Failed to create CertificateRequest: {error}"
            )
            return None
        name = f"{objects.name(certificate)[:52]}-{revision}"
        asked = {
            "issuerRef": spec["issuerRef"],
            "request": base64.b64encode(pem.encode()).decode(),
            **{field: spec[field] for field in ("duration", "isCA", "usages") if spec.get(field)},
        }
        annotations = {
            **{k: v for k, v in objects.annotations(certificate).items() if not k.startswith("kubectl.kubernetes.io/")},
            resources.CERTIFICATE_NAME: objects.name(certificate),
            resources.REVISION: str(revision),
            resources.KEY_SECRET: key_name,
        }
        request = {
            "apiVersion": resources.API_VERSION,
            "kind": "CertificateRequest",
            "metadata": {
                "name": name,
                "namespace": objects.namespace(certificate),
                "annotations": annotations,
                "labels": dict(objects.labels(certificate)),
                "ownerReferences": [objects.owner_reference(_typed(certificate))],
            },
            "spec": asked,
        }
        created = await self.context.writer.create(resources.REQUESTS, request, objects.namespace(certificate))
        text = f'Created new CertificateRequest resource "{name}"'
        self.recorder.event(certificate, "Normal", "Requested", text)
        return created

    async def _write_secret(self, certificate: Object, request: Object, key_pem: str, pod: Object) -> None:
        space, name = objects.namespace(certificate), certificate["spec"]["secretName"]
        data = contents.contents(certificate, request, key_pem)
        metadata = contents.metadata(certificate, data)
        live = self.secrets.get(space, name)
        if live is not None:
            patch = {"data": data, "metadata": metadata}
            await self.context.writer.patch(SECRETS, live, patch)
            return
        if presence.option(pod, resources.CONTROLLER_IMAGE, "--enable-certificate-owner-ref") == "true":
            metadata["ownerReferences"] = [objects.owner_reference(_typed(certificate))]
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": space, **metadata},
            "data": data,
        }
        try:
            await self.context.writer.create(SECRETS, secret, space)
        except errors.AlreadyExists:
            live = await self.context.client.get(SECRETS, name, space)
            await self.context.writer.patch(SECRETS, live, {"data": data, "metadata": metadata})

    def _readiness(self, certificate: Object, status: Object) -> Object:
        now = self.context.clock.now()
        given = self._input(certificate, status)
        violation = policies.readiness(given, now)
        if violation is None:
            reason, message = "Ready", _READY
        else:
            reason, message = violation.reason, violation.message
        generation = objects.generation(certificate)
        status = statuses.with_condition(status, "Ready", violation is None, reason, message, generation, now)
        leaf = given.leaf()
        times = ("notBefore", "notAfter", "renewalTime")
        if leaf is None:
            return {name: value for name, value in status.items() if name not in times}
        begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        due = durations.renewal(certificate["spec"], begin, end)
        return {**status, **dict(zip(times, map(timestamp, (begin, end, due)), strict=True))}

    def _next(self, status: Object, wait: float | None) -> Outcome:
        if wait is not None:
            return RetryAfter(wait)
        due = status.get("renewalTime")
        if due and statuses.find(status, "Issuing") is None:
            seconds = (objects.parse_time(due) - self.context.clock.now()).total_seconds()
            return RetryAfter(max(seconds, 1.0))
        return Done()

    async def _forget(self, certificate: Object) -> None:
        """Remove requests of former revisions beyond the history that is kept (one, unless said otherwise)."""
        revision = (certificate.get("status") or {}).get("revision") or 0
        limit = certificate["spec"].get("revisionHistoryLimit") or _HISTORY
        done = sorted((each for each in self._owned(certificate) if _revision(each) <= revision), key=_revision)
        for request in done[:-limit] if len(done) > limit else ():
            await self.context.writer.delete(resources.REQUESTS, request)


def _revision(request: Object) -> int:
    text = objects.annotations(request).get(resources.REVISION, "")
    return int(text) if text.isdigit() else 0


def _fits(secret: Object, spec: Object) -> bool:
    try:
        return not keys.violations(keys.decode(authority.text(secret, "tls.key")), spec)
    except ValueError:
        return False


def _typed(certificate: Object) -> Object:
    return {"apiVersion": resources.API_VERSION, "kind": "Certificate", **certificate}
