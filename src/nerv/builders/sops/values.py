"""The tree of values in an encrypted file: which of them are encrypted, and what they mean.

Facts of the format: a value reads `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]` with base64 parts; the additional
data of the cipher is the path of map keys, each followed by a colon (list positions do not count); the MAC is SHA-512
over all values in order, comments left out, in upper-case hex.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nerv.builders.sops.errors import SopsError

_VALUE = re.compile(
    r"^ENC\[AES256_GCM,data:(?P<data>[^,]*),iv:(?P<iv>[^,]*),tag:(?P<tag>[^,]*),type:(?P<type>[^\]]*)\]$"
)
_DEFAULT_SUFFIX = "_unencrypted"
# The fixed start of the MAC where it covers encrypted values alone, so that both kinds of MAC never agree by accident.
_ENCRYPTED_ONLY_START = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")


@dataclass(frozen=True)
class Rules:
    """Which values of a tree are encrypted; the first four fields as in the file's metadata."""

    encrypted_regex: str = ""
    unencrypted_regex: str = ""
    encrypted_suffix: str = ""
    unencrypted_suffix: str = ""

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Rules:
        """From a file's metadata; without any rule everything is encrypted but keys that end with `_unencrypted`.

        Raises SopsError for rules on comments, which do not survive the way through the API.
        """
        if metadata.get("encrypted_comment_regex") or metadata.get("unencrypted_comment_regex"):
            raise SopsError("failed to load encrypted data: rules on comments are not supported, use encrypted_regex")
        rules = cls(
            metadata.get("encrypted_regex") or "",
            metadata.get("unencrypted_regex") or "",
            metadata.get("encrypted_suffix") or "",
            metadata.get("unencrypted_suffix") or "",
        )
        return rules if rules != cls() else cls(unencrypted_suffix=_DEFAULT_SUFFIX)

    def encrypts(self, path: tuple[str, ...]) -> bool:
        """Whether the value at that path of map keys is encrypted: a key anywhere on the path decides."""
        if self.encrypted_regex:
            return any(re.search(self.encrypted_regex, key) for key in path)
        if self.unencrypted_regex:
            return not any(re.search(self.unencrypted_regex, key) for key in path)
        if self.encrypted_suffix:
            return any(key.endswith(self.encrypted_suffix) for key in path)
        return not any(key.endswith(self.unencrypted_suffix) for key in path)


class Opener:
    """Decrypts the values of one file in their order, and computes the MAC on the way."""

    def __init__(self, key: bytes, rules: Rules, *, mac_only_encrypted: bool = False) -> None:
        self._cipher = AESGCM(key)
        self._rules = rules
        self._only_encrypted = mac_only_encrypted
        self._hash = hashlib.sha512(_ENCRYPTED_ONLY_START if mac_only_encrypted else b"")

    @property
    def mac(self) -> str:
        """The MAC over everything opened so far."""
        return self._hash.hexdigest().upper()

    def open(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """The same tree with every value in the clear. Raises SopsError."""
        if isinstance(value, dict):
            return {key: self.open(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.open(item, path) for item in value if not _is_comment(item)]
        if value is None:
            return None
        encrypted = self._rules.encrypts(path)
        plain = self._leaf(value, path) if encrypted else value
        if encrypted or not self._only_encrypted:
            self._hash.update(_as_bytes(plain))
        return plain

    def text(self, value: str, additional: str) -> str:
        """One encrypted text with the given additional data. Raises SopsError."""
        return str(_decrypt(self._cipher, value, additional.encode()))

    def _leaf(self, value: Any, path: tuple[str, ...]) -> Any:
        if value == "":
            return ""
        if not isinstance(value, str):
            raise SopsError(f"error decrypting sops tree: the value of {'.'.join(path)} is not encrypted")
        try:
            return _decrypt(self._cipher, value, "".join(f"{key}:" for key in path).encode())
        except SopsError as error:
            raise SopsError(f"error decrypting sops tree: value of {'.'.join(path)}: {error.message}") from None


def _is_comment(value: Any) -> bool:
    """Whether a list item stands for a comment of the YAML file; it has no part in the MAC."""
    match = _VALUE.match(value) if isinstance(value, str) else None
    return match is not None and match["type"] == "comment"


def _decrypt(cipher: AESGCM, value: str, additional: bytes) -> Any:
    match = _VALUE.match(value)
    if not match:
        raise SopsError("Input string does not match sops' data format")
    try:
        data, nonce, tag = (base64.b64decode(match[part], validate=True) for part in ("data", "iv", "tag"))
        plain = cipher.decrypt(nonce, data + tag, additional)
    except (InvalidTag, ValueError, binascii.Error):
        raise SopsError("Could not decrypt with AES_GCM: cipher: message authentication failed") from None
    return _typed(plain, match["type"])


def _typed(plain: bytes, kind: str) -> Any:
    text = plain.decode("utf-8", "surrogateescape")
    match kind:
        case "str" | "bytes" | "time":
            return text
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "bool":
            return text.lower() == "true"
    raise SopsError(f"Unknown datatype: {kind}")


def _as_bytes(value: Any) -> bytes:
    """The form in which a value counts for the MAC."""
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return (text.rstrip("0").rstrip(".") if "." in text else text).encode()
    return str(value).encode("utf-8", "surrogateescape")
