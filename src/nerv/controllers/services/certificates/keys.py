"""Private keys as a Certificate asks for them. Pure but for randomness."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from nerv.kube.objects import Object

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
RSA_SIZES = range(2048, 8192 + 1)
EC_SIZES = tuple(_CURVES)


def generate(spec: Object) -> PrivateKey:
    """A new key for a Certificate's spec. RSA takes tens of milliseconds: not for the event loop."""
    match _algorithm(spec), _size(spec):
        case "ECDSA", size:
            return ec.generate_private_key(_CURVES[size]())
        case "Ed25519", _:
            return ed25519.Ed25519PrivateKey.generate()
        case _, size:
            return rsa.generate_private_key(public_exponent=65537, key_size=size)


def encode(key: PrivateKey, spec: Object) -> str:
    """PEM in the encoding that the Certificate asks for; PKCS1 where it does not say, PKCS8 always for Ed25519."""
    encoding = (spec.get("privateKey") or {}).get("encoding") or "PKCS1"
    traditional = encoding == "PKCS1" and not isinstance(key, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def decode(pem: str) -> PrivateKey:
    """Raises ValueError for what is no usable key."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        return key
    raise ValueError("unknown private key type")


def violations(key: PrivateKey, spec: Object) -> list[str]:
    """Fields of `spec.privateKey` that the key does not meet, as cert-manager lists them."""
    algorithm, size = _algorithm(spec), _size(spec)
    if algorithm == "RSA":
        if not isinstance(key, rsa.RSAPrivateKey):
            return ["spec.privateKey.algorithm"]
        return [] if key.key_size == size else ["spec.privateKey.size"]
    if algorithm == "ECDSA":
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return ["spec.privateKey.algorithm"]
        return [] if key.curve.key_size == size else ["spec.privateKey.size"]
    return [] if isinstance(key, ed25519.Ed25519PrivateKey) else ["spec.privateKey.algorithm"]


def public(key: PrivateKey) -> bytes:
    """The public half, to compare by."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _algorithm(spec: Object) -> str:
    return (spec.get("privateKey") or {}).get("algorithm") or "RSA"


def _size(spec: Object) -> int:
    default = 256 if _algorithm(spec) == "ECDSA" else 2048
    return int((spec.get("privateKey") or {}).get("size") or default)
