"""Whether what is issued still is what a Certificate asks for. Pure.

The order of the questions, reasons and messages are those of internal/controller/certificates/policies of
cert-manager 1.18: one chain decides that a certificate is issued anew, nearly the same one that it is ready.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from nerv.controllers.services.certificates import durations, keys, resources, signing, subjects
from nerv.controllers.services.webhooks import authority
from nerv.kube import objects
from nerv.kube.objects import Object, parse_time, timestamp


@dataclass(frozen=True)
class Violation:
    """What is wrong first."""

    reason: str
    message: str


@dataclass(frozen=True)
class Input:
    """A Certificate, its Secret, and the request that its present revision came from."""

    certificate: Object
    secret: Object | None
    request: Object | None

    def leaf(self) -> x509.Certificate | None:
        """What the Secret holds; None where that is no certificate."""
        try:
            return signing.load_chain(authority.text(self.secret, "tls.crt"))[0]
        except ValueError:
            return None


def trigger(given: Input, now: datetime.datetime) -> Violation | None:
    """Why a certificate must be issued; None if it need not."""
    return _common(given) or _near_expiry(given, now)


def readiness(given: Input, now: datetime.datetime) -> Violation | None:
    """Why a Certificate is not ready; None if it is."""
    return _common(given) or _expired(given, now)


def _common(given: Input) -> Violation | None:
    return _data(given) or _annotations(given) or _specification(given)


def _data(given: Input) -> Violation | None:
    if given.secret is None:
        return Violation("DoesNotExist", "Issuing certificate as Secret does not exist")
    data = given.secret.get("data") or {}
    if not data:
        return Violation("MissingData", "Issuing certificate as Secret does not contain any data")
    if not data.get("tls.key"):
        return Violation("MissingData", "Issuing certificate as Secret does not contain a private key")
    if not data.get("tls.crt"):
        return Violation("MissingData", "Issuing certificate as Secret does not contain a certificate")
    try:
        key = keys.decode(authority.text(given.secret, "tls.key"))
    except ValueError:
        text = "Issuing certificate as Secret contains invalid private key data: error decoding private key PEM block"
        return Violation("InvalidKeyPair", text)
    leaf = given.leaf()
    if leaf is None:
        text = "Issuing certificate as Secret contains an invalid certificate: error decoding certificate PEM block"
        return Violation("InvalidCertificate", text)
    if keys.public(key) != _public(leaf):
        text = "Issuing certificate as Secret contains a private key that does not match the certificate"
        return Violation("InvalidKeyPair", text)
    return None


def _annotations(given: Input) -> Violation | None:
    assert given.secret is not None
    found = objects.annotations(given.secret)
    reference = given.certificate["spec"]["issuerRef"]
    kind, group = reference.get("kind") or "Issuer", reference.get("group") or ""
    name = found.get(resources.ISSUER_NAME, "")
    before = (name, found.get(resources.ISSUER_KIND) or "Issuer", found.get(resources.ISSUER_GROUP) or "")
    if before != (reference["name"], kind, group):
        text = f"{before[1]}.{before[2] or resources.GROUP}/{name}"
        return Violation("IncorrectIssuer", f'Issuing certificate as Secret was previously issued by "{text}"')
    owner = found.get(resources.CERTIFICATE_NAME)
    if owner is not None and owner != objects.name(given.certificate):
        text = (
            "If this message is not transient, you might have two conflicting Certificates pointing to the same secret."
        )
        return Violation("IncorrectCertificate", f'Secret was issued for "{owner}". {text}')
    return None


def _specification(given: Input) -> Violation | None:
    spec = given.certificate["spec"]
    key = keys.decode(authority.text(given.secret, "tls.key"))
    fields = keys.violations(key, spec)
    if fields:
        text = f"Existing private key is not up to date for spec: {_listed(fields)}"
        return Violation("SecretMismatch", text)
    if given.request is None:
        return None
    try:
        csr = signing.load_request(given.request["spec"]["request"])
    except ValueError as error:
        return Violation("InvalidCertificateRequest", f"Failed to decode current CertificateRequest: {error}")
    if keys.public(key) != _public(csr):
        text = "Secret contains a private key that does not match the current CertificateRequest"
        return Violation("SecretMismatch", text)
    fields = subjects.violations(spec, given.request, csr)
    if fields:
        text = f"Fields on existing CertificateRequest resource not up to date: {_listed(fields)}"
        return Violation("RequestChanged", text)
    return None


def _near_expiry(given: Input, now: datetime.datetime) -> Violation | None:
    leaf = given.leaf()
    assert leaf is not None
    due = durations.renewal(given.certificate["spec"], leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    if now >= due:
        return Violation("Renewing", f"Renewing certificate as renewal was scheduled at {timestamp(due)}")
    return None


def _expired(given: Input, now: datetime.datetime) -> Violation | None:
    leaf = given.leaf()
    assert leaf is not None
    if now > leaf.not_valid_after_utc:
        moment = leaf.not_valid_after_utc.strftime("%a, %d %b %Y %H:%M:%S UTC")
        return Violation("Expired", f"Certificate expired on {moment}")
    return None


def back_off(certificate: Object, now: datetime.datetime) -> float:
    """Seconds until issuing may be tried again after failures: 1 h, 2 h, ... 32 h."""
    status = certificate.get("status") or {}
    failed, attempts = status.get("lastFailureTime"), status.get("failedIssuanceAttempts") or 0
    if not failed:
        return 0.0
    delay = min(3600.0 * 2.0 ** min(max(attempts, 1) - 1, 5), 32 * 3600.0)
    return max(0.0, delay - (now - parse_time(failed)).total_seconds())


def _listed(fields: list[str]) -> str:
    """As Go prints a list."""
    return f"[{' '.join(fields)}]"


def _public(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return holder.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def request_violations(
    spec: Object, request: Object, csr: x509.CertificateSigningRequest, key: keys.PrivateKey
) -> list[str]:
    """Fields in which a request differs from the Certificate and the key it is to be made from."""
    different_key = ["spec.privateKey"] if keys.public(key) != _public(csr) else []
    return different_key + subjects.violations(spec, request, csr)
