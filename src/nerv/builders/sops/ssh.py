"""SSH keys as age keys, by the rule of ssh-to-age and sops-nix: what is encrypted for the one opens with the other.

An ed25519 public key is a point of the curve that X25519 uses, written in other coordinates: u = (1 + y) / (1 - y)
modulo 2^255 - 19. The X25519 secret is the first half of SHA-512 over the ed25519 seed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import pyrage
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nerv.builders.sops.errors import SopsError

KIND = "ssh-ed25519"
_PRIME = 2**255 - 19
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def recipient(line: str) -> str:
    """The age recipient of an OpenSSH public key (`ssh-ed25519 AAAA... comment`). Raises SopsError for other keys."""
    kind, _, rest = line.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except binascii.Error:
        blob = b""
    name = KIND.encode()
    head = len(name).to_bytes(4, "big") + name + (32).to_bytes(4, "big")
    if kind != KIND or not blob.startswith(head) or len(blob) != len(head) + 32:
        raise SopsError("not an ed25519 public key of SSH: only those can read secrets")
    y = int.from_bytes(blob[len(head) :], "little") & (1 << 255) - 1
    u = (1 + y) * pow(1 - y, _PRIME - 2, _PRIME) % _PRIME
    return _bech32("age", u.to_bytes(32, "little"))


def identity(pem: str) -> Any:
    """The age identity of an OpenSSH private key without passphrase. Raises SopsError for other keys."""
    return pyrage.x25519.Identity.from_str(secret(pem))


def secret(pem: str) -> str:
    """`AGE-SECRET-KEY-1...` of an OpenSSH private key without passphrase. Raises SopsError for other keys."""
    seed = private_key(pem).private_bytes_raw()
    return _bech32("age-secret-key-", hashlib.sha512(seed).digest()[:32]).upper()


def private_key(pem: str) -> Ed25519PrivateKey:
    """An OpenSSH private key without passphrase. Raises SopsError for other keys."""
    try:
        key = serialization.load_ssh_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SopsError("not a private SSH key, or one with a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SopsError("not an ed25519 key of SSH: only those can read secrets")
    return key


def _bech32(prefix: str, data: bytes) -> str:
    """BIP 173: groups of five bits in an alphabet without lookalikes, and a checksum of six characters."""
    bits, values = int.from_bytes(data, "big") << -len(data) * 8 % 5, []
    for position in range((len(data) * 8 + 4) // 5 - 1, -1, -1):
        values.append(bits >> 5 * position & 31)
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    check = _polymod([*expanded, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [check >> 5 * (5 - position) & 31 for position in range(6)]
    return f"{prefix}1{''.join(_ALPHABET[value] for value in values)}"


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for position, generator in enumerate(_GENERATORS):
            check ^= generator if top >> position & 1 else 0
    return check
