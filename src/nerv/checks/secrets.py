"""Nothing secret stands in the repository in clear: what is committed once is public for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nerv.checks.repository import Located, Repository, mapping
from nerv.components.catalog import Platform
from nerv.errors import Problem

_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,.*\]", re.DOTALL)
_PRIVATE = (
    (re.compile(r"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{40,}"), "a private age key"),
    (re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}"), "a private key"),
)


def plaintext(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Secrets whose values are not encrypted by sops."""
    for secret in repository.of("", "Secret"):
        keys = [key for field in ("data", "stringData") for key in _clear(secret, field)]
        if keys:
            hint = (
                "keep it in secrets/NAME.sops.yaml, encrypted: `sops encrypt --in-place FILE`; "
                "change the value if it was ever committed"
            )
            yield secret.problem(f"{', '.join(f'`{key}`' for key in keys)} in clear", hint)


def _clear(secret: Located, field: str) -> list[str]:
    values = mapping(secret.object.get(field))
    return [key for key, value in values.items() if value not in ("", None) and not _encrypted(value)]


def _encrypted(value: object) -> bool:
    return isinstance(value, str) and bool(_ENCRYPTED.fullmatch(value))


def private_keys(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Private keys anywhere in a text file."""
    for path, text in repository.files.items():
        for pattern, what in _PRIVATE:
            found = pattern.search(text)
            if found:
                line = text.count("\n", 0, found.start()) + 1
                column = found.start() - text.rfind("\n", 0, found.start())
                yield Problem(path, line, column, f"{what} in clear", "remove it, and replace the key")
