"""A component's own certificate authority and serving certificate, in Secrets as the component itself keeps them."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509

from nerv import certificates
from nerv.certificates import KeyPair
from nerv.controllers.runtime import Writer
from nerv.kube import errors
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS

_RENEW_BEFORE = datetime.timedelta(days=30)
LIFETIME = datetime.timedelta(days=3650)


def text(secret: Object | None, key: str) -> str:
    """A value of a Secret as text; empty where it is missing or no text."""
    try:
        return base64.b64decode(((secret or {}).get("data") or {}).get(key) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def encode(values: Mapping[str, str]) -> dict[str, str]:
    """Texts as a Secret's `data`."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


def pair_of(secret: Object | None, certificate: str = "tls.crt", key: str = "tls.key") -> KeyPair | None:
    """The key pair in a Secret; None where it is missing, unreadable or soon at its end."""
    pair = KeyPair(text(secret, certificate), text(secret, key))
    if not pair.certificate or not pair.key:
        return None
    try:
        remaining = pair.not_after - datetime.datetime.now(datetime.UTC)
    except ValueError:
        return None
    return pair if remaining > _RENEW_BEFORE else None


def create(common_name: str) -> KeyPair:
    """A new authority that outlives its certificates."""
    return certificates.create_ca(common_name, valid=LIFETIME)


def serving(authority: KeyPair, names: Sequence[str]) -> KeyPair:
    """A serving certificate for the names; the first is its common name."""
    return certificates.issue(authority, names[0][:64], names=names, valid=LIFETIME)


def covers(pair: KeyPair, authority: KeyPair, names: Sequence[str]) -> bool:
    """Whether the certificate is of the authority and names everything."""
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    if certificate.issuer != issuer.subject:
        return False
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return False
    return set(names) <= set(extension.value.get_values_for_type(x509.DNSName))


async def keep(
    writer: Writer, live: Object | None, namespace: str, name: str, values: Mapping[str, str], **parts: Any
) -> Object:
    """Create the Secret or make its data these values; `parts` are further fields of a new one (type, metadata)."""
    data = encode(values)
    if live is not None:
        if live.get("data") == data:
            return live
        return await writer.patch(SECRETS, live, {"data": data})
    metadata: Object = {"name": name, "namespace": namespace}
    extra = parts.pop("metadata", None)
    if isinstance(extra, dict):
        metadata |= extra
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", **parts, "metadata": metadata, "data": data}
    try:
        return await writer.create(SECRETS, secret, namespace)
    except errors.AlreadyExists:
        live = await writer.client.get(SECRETS, name, namespace)
        return await writer.patch(SECRETS, live, {"data": data})
