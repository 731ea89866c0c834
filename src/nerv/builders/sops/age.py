"""Age identities, and the data key of a file that one of them opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyrage

from nerv.builders.sops.errors import SopsError

Identities = Sequence[Any]
"""Identities as pyrage knows them: opaque, and never shown."""

_OTHER_KEYS = ("kms", "gcp_kms", "azure_kv", "hc_vault", "pgp")


def read_identities(text: str) -> list[Any]:
    """The identities of an age key file: one a line, `#` starts a comment. Raises SopsError."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            found.append(pyrage.x25519.Identity.from_str(entry))
        except pyrage.IdentityError:
            raise SopsError(f"failed to parse age identity in line {number}: unknown identity type") from None
    if not found:
        raise SopsError("failed to parse age identities: no secret keys found")
    return found


def data_key(metadata: Mapping[str, Any], identities: Identities) -> bytes:
    """The 32 bytes that open the values of a file. Raises SopsError when no identity fits."""
    if metadata.get("key_groups"):
        raise SopsError("cannot get sops data key: key groups are not supported, use one group of age keys")
    recipients: list[Mapping[str, Any]] = metadata.get("age") or []
    for recipient in recipients:
        try:
            return bytes(pyrage.decrypt(str(recipient.get("enc", "")).encode(), list(identities)))
        except pyrage.DecryptError:
            continue
    raise SopsError(f"cannot get sops data key: {_failure(recipients, identities, metadata)}")


def _failure(recipients: Sequence[Mapping[str, Any]], identities: Identities, metadata: Mapping[str, Any]) -> str:
    """The report that sops prints, one block for each key that could have opened the file."""
    why = "no identity matched any of the recipients" if identities else "no age identity was given"
    lines = ["Failed to get the data key required to decrypt the SOPS file.", "", "Group 0: FAILED"]
    for recipient in recipients:
        lines += [f"  {recipient.get('recipient', 'age')}: FAILED", f"    - | {why}"]
    for kind in _OTHER_KEYS:
        for _ in metadata.get(kind) or ():
            lines += [f"  {kind}: FAILED", "    - | only age keys can be used here"]
    lines += ["", "Recovery failed because no master key was able to decrypt the file."]
    return "\n".join(lines)
