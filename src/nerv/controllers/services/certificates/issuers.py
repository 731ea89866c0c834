"""Issuers and ClusterIssuers: whether they can sign. SelfSigned and CA can; the others cannot on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509

from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch, key_of
from nerv.controllers.services.certificates import keys, resources, signing
from nerv.controllers.services.certificates import status as statuses
from nerv.controllers.services.certificates.keys import PrivateKey
from nerv.controllers.services.context import Context
from nerv.controllers.services.webhooks import authority
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS, Resource

_REMOTE = {"acme": "an ACME server", "vault": "Vault", "venafi": "Venafi"}


class SecretMissing(Exception):
    """The Secret of a CA issuer does not exist."""


class SecretInvalid(Exception):
    """The Secret of a CA issuer holds no usable key pair."""


@dataclass(frozen=True)
class SigningPair:
    """The chain of a CA issuer, its own certificate first, and its key."""

    chain: list[x509.Certificate]
    key: PrivateKey


def resource_namespace(issuer: Object, running: Presence) -> str:
    """Where an issuer's Secrets lie: its own namespace; for cluster-wide ones that of the controller."""
    own = objects.namespace(issuer)
    pod = running.leader()
    if own or pod is None:
        return own
    named = presence.option(pod, resources.CONTROLLER_IMAGE, "--cluster-resource-namespace")
    return objects.namespace(pod) if named in ("", "$(POD_NAMESPACE)") else named


def signing_pair(secrets: Informer, namespace: str, name: str) -> SigningPair:
    """Raises SecretMissing or SecretInvalid, with cert-manager's words."""
    secret = secrets.get(namespace, name)
    if secret is None:
        raise SecretMissing(f'secrets "{name}" not found')
    try:
        chain = signing.load_chain(authority.text(secret, "tls.crt"))
    except ValueError:
        raise SecretInvalid(f'error decoding certificate PEM block in "{namespace}/{name}"') from None
    try:
        key = keys.decode(authority.text(secret, "tls.key"))
    except ValueError:
        raise SecretInvalid(f'error decoding private key PEM block in "{namespace}/{name}"') from None
    return SigningPair(chain, key)


def issuer_status(context: Context, resource: Resource) -> Controller:
    """The controller of one of the two kinds."""
    running = Presence.of(context.informers, resources.CONTROLLER_IMAGE)
    reconciler = _Issuers(
        context,
        resource,
        running,
        context.informers.of(resource),
        context.informers.of(SECRETS),
        context.recorder(f"cert-manager-{resource.plural}"),
    )
    watches = (
        Watch(reconciler.issuers, required=False),
        Watch(reconciler.secrets, reconciler.secret_changed),
        running.watch(lambda: [key_of(each) for each in reconciler.issuers.list()]),
    )
    return Controller(f"cert-manager-{resource.plural}", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Issuers:
    context: Context
    resource: Resource
    running: Presence
    issuers: Informer
    secrets: Informer
    recorder: EventRecorder

    def secret_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Issuers that sign with this Secret."""
        secret = new if new is not None else old
        if secret is None:
            return
        for issuer in self.issuers.list():
            name = (issuer["spec"].get("ca") or {}).get("secretName")
            space = resource_namespace(issuer, self.running)
            if name == objects.name(secret) and space == objects.namespace(secret):
                yield key_of(issuer)

    async def reconcile(self, key: Key) -> Outcome:
        """Write the Ready condition."""
        issuer = self.issuers.get(key.namespace, key.name)
        if issuer is None or self.running.leader() is None:
            return Done()
        ready, reason, message = self._judge(issuer)
        before = objects.condition(issuer, "Ready")
        same = before is not None and (before.get("reason"), before.get("message")) == (reason, message)
        if not same and reason != "IsReady":
            self.recorder.event(issuer, "Normal" if ready else "Warning", reason, message)
        status = statuses.with_condition(
            issuer.get("status") or {},
            "Ready",
            ready,
            reason,
            message,
            objects.generation(issuer),
            self.context.clock.now(),
        )
        await self.context.writer.status(self.resource, issuer, status)
        return Done()

    def _judge(self, issuer: Object) -> tuple[bool, str, str]:
        spec = issuer["spec"]
        if "selfSigned" in spec:
            return True, "IsReady", ""
        for kind, what in _REMOTE.items():
            if kind in spec:
                text = f"an issuer of type {kind} asks {what}: not done on this machine, it works on real nodes"
                return False, "NotSupportedHere", text
        space = resource_namespace(issuer, self.running)
        try:
            pair = signing_pair(self.secrets, space, (spec.get("ca") or {}).get("secretName") or "")
        except (SecretMissing, SecretInvalid) as error:
            return False, "ErrGetKeyPair", f"Error getting keypair for CA issuer: {error}"
        if not _is_ca(pair.chain[0]):
            text = "Error getting keypair for CA issuer: certificate is not a CA"
            return False, "ErrInvalidKeyPair", text
        return True, "KeyPairVerified", "Signing CA verified"


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
