"""Certificate signing requests and certificates. Pure but for the clock it is given and serial numbers."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from nerv.controllers.services.certificates import durations, subjects
from nerv.controllers.services.certificates.keys import PrivateKey
from nerv.kube.objects import Object


@dataclass(frozen=True)
class Issued:
    """What signing gives: the chain from the leaf on without a root, and the authority to trust. Both PEM."""

    chain: str
    authority: str


def request(spec: Object, key: PrivateKey) -> str:
    """A CSR (PEM) for a Certificate's spec."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subjects.subject(spec))
    names = subjects.alternatives(spec)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not spec.get("commonName"))
    usage, extended = subjects.usages(spec.get("usages") or (), bool(spec.get("isCA")))
    builder = builder.add_extension(usage, critical=True)
    if extended:
        builder = builder.add_extension(extended, critical=False)
    csr = builder.sign(key, _digest(key))
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def load_request(encoded: str) -> x509.CertificateSigningRequest:
    """From the base64 of `spec.request`. Raises ValueError."""
    try:
        pem = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("illegal base64 data") from None
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem and b"NEW CERTIFICATE REQUEST" not in pem:
        raise ValueError("error decoding certificate request PEM block")
    csr = x509.load_pem_x509_csr(pem)
    if not csr.is_signature_valid:
        raise ValueError("the signature of the certificate request is not valid")
    return csr


def load_chain(pem: str) -> list[x509.Certificate]:
    """Raises ValueError for what holds no certificate."""
    return x509.load_pem_x509_certificates(pem.encode())


def sign(
    asked: Object, key: PrivateKey, authorities: Sequence[x509.Certificate], now: datetime.datetime, ca: Object
) -> Issued:
    """Sign what a CertificateRequest's spec asks for, by the first of `authorities`, or by itself where there are none.

    `ca` is the issuer's `spec.ca` or `spec.selfSigned`: it may name places of revocation lists. Raises ValueError.
    """
    csr = load_request(asked["request"])
    not_before = now.replace(microsecond=0)
    issuer = authorities[0] if authorities else None
    is_ca = bool(asked.get("isCA"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(issuer.subject if issuer else csr.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + durations.wanted(asked))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    usage, extended = subjects.usages(asked.get("usages") or (), is_ca)
    builder = builder.add_extension(usage, critical=True)
    if extended:
        builder = builder.add_extension(extended, critical=False)
    if is_ca:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(csr.public_key()), critical=False)
    if issuer is not None:
        builder = builder.add_extension(_authority_identifier(issuer), critical=False)
    for extension in csr.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    points = ca.get("crlDistributionPoints") or []
    if points:
        places = [x509.DistributionPoint([x509.UniformResourceIdentifier(each)], None, None, None) for each in points]
        builder = builder.add_extension(x509.CRLDistributionPoints(places), critical=False)
    leaf = builder.sign(key, _digest(key))
    return _bundle(leaf, authorities)


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        known = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _bundle(leaf: x509.Certificate, authorities: Sequence[x509.Certificate]) -> Issued:
    """A root is trusted, not sent."""
    chain = [leaf, *authorities]
    root = chain[-1]
    sent = chain[:-1] if len(chain) > 1 and root.subject == root.issuer else chain
    return Issued("".join(map(_pem, sent)), _pem(root))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _digest(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
