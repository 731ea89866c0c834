"""Service account tokens: JWTs signed with ES256, bound to a pod where asked, checked against living objects.

Claims follow the TokenRequest API: `kubernetes.io` names the namespace, the service account and the bound pod.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

_HALF = 32  # bytes of each of a P-256 signature's two numbers


class BadToken(Exception):
    """Not a token of ours, or not valid now."""


@dataclass(frozen=True)
class Claims:
    """What a token says."""

    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...]
    issued: int
    expires: int
    pod_name: str = ""
    pod_uid: str = ""
    node_name: str = ""
    node_uid: str = ""
    identifier: str = ""


class Signer:
    """Signs and checks with one key. `issuer` is the `iss` claim."""

    def __init__(self, key_pem: str, issuer: str) -> None:
        key = serialization.load_pem_private_key(key_pem.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the service account key is not an EC key")
        self._key = key
        self._public = key.public_key()
        self.issuer = issuer
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.key_id = _text(hashlib.sha256(der).digest())

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom tokens are for that name nobody: this server, by its issuer and by the name that K3s adds."""
        return self.issuer, "k3s"

    def sign(self, claims: Claims) -> str:
        """The token."""
        header = {"alg": "ES256", "kid": self.key_id}
        signed = f"{_text(orjson.dumps(header))}.{_text(orjson.dumps(_payload(claims, self.issuer)))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(r.to_bytes(_HALF, 'big') + s.to_bytes(_HALF, 'big'))}"

    def check(self, token: str, now: float) -> Claims:
        """The claims of a token that is ours and not expired. Raises BadToken."""
        signed, _, signature = token.rpartition(".")
        try:
            header, payload = (orjson.loads(_bytes(part)) for part in signed.split("."))
            raw = _bytes(signature)
        except (ValueError, binascii.Error):
            raise BadToken("not a signed token") from None
        if not isinstance(header, dict) or header.get("alg") != "ES256" or len(raw) != 2 * _HALF:
            raise BadToken("signed in another way")
        numbers = encode_dss_signature(int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))
        try:
            self._public.verify(numbers, signed.encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise BadToken("signature does not match") from None
        if payload.get("iss") != self.issuer:
            raise BadToken("another issuer")
        if payload.get("exp", 0) <= now or payload.get("nbf", 0) > now + 60:
            raise BadToken("expired")
        return _claims(payload)

    def public_jwk(self) -> dict[str, str]:
        """The public key for /openid/v1/jwks."""
        numbers = self._public.public_numbers()
        return {
            "use": "sig",
            "kty": "EC",
            "kid": self.key_id,
            "crv": "P-256",
            "alg": "ES256",
            "x": _text(numbers.x.to_bytes(_HALF, "big")),
            "y": _text(numbers.y.to_bytes(_HALF, "big")),
        }


def _payload(claims: Claims, issuer: str) -> dict[str, Any]:
    bound: dict[str, Any] = {
        "namespace": claims.namespace,
        "serviceaccount": {"name": claims.name, "uid": claims.uid},
    }
    if claims.pod_name:
        bound["pod"] = {"name": claims.pod_name, "uid": claims.pod_uid}
    if claims.node_name:
        bound["node"] = {"name": claims.node_name, "uid": claims.node_uid}
    payload: dict[str, Any] = {
        "aud": list(claims.audiences),
        "exp": claims.expires,
        "iat": claims.issued,
        "nbf": claims.issued,
        "iss": issuer,
        "jti": claims.identifier,
        "sub": f"system:serviceaccount:{claims.namespace}:{claims.name}",
        "kubernetes.io": bound,
    }
    return payload


def _claims(payload: dict[str, Any]) -> Claims:
    bound = payload.get("kubernetes.io") or {}
    account, pod, node = (bound.get(part) or {} for part in ("serviceaccount", "pod", "node"))
    audiences: Sequence[str] = payload.get("aud") or ()
    return Claims(
        bound.get("namespace", ""),
        account.get("name", ""),
        account.get("uid", ""),
        tuple([audiences] if isinstance(audiences, str) else audiences),
        payload.get("iat", 0),
        payload.get("exp", 0),
        pod.get("name", ""),
        pod.get("uid", ""),
        node.get("name", ""),
        node.get("uid", ""),
        payload.get("jti", ""),
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
