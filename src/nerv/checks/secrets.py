"""Nothing secret stands in the repository in clear: what is committed once is public for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nerv import documents
from nerv.builders import sops
from nerv.checks.repository import Located, Repository, items, mapping
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.rendering.secrets import RULES_FILE

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


def encrypted(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Files for which .sops.yaml has a rule, and that hold values in clear all the same."""
    for path, tree, _ in ruled(repository):
        metadata = mapping(tree.get("sops"))
        if not metadata.get("mac"):
            hint = f"`sops encrypt --in-place {path}`; change the values if they were ever committed"
            yield Problem(path, 0, 0, "is not encrypted", hint)
            continue
        try:
            rules = sops.Rules.of(metadata)
        except sops.SopsError:
            continue  # rules on comments, which no longer are there
        clear = [".".join(place) for place, value in _leaves(tree) if rules.encrypts(place) and not _encrypted(value)]
        if clear:
            hint = f"`nerv secrets edit {path}` writes it encrypted; change the value if it was ever committed"
            yield Problem(path, 0, 0, f"{', '.join(f'`{key}`' for key in clear)} in clear", hint)


def recipients(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Encrypted files whose readers are not those of their rule in .sops.yaml."""
    for path, tree, wanted in ruled(repository):
        listed = items(mapping(tree.get("sops")).get("age"))
        able = {str(mapping(entry).get("recipient")) for entry in listed}
        if not able:
            continue  # not encrypted at all, which is another check's word
        for recipient in sorted(wanted - able):
            yield Problem(path, 0, 0, f"{recipient} cannot read it, as .sops.yaml asks for", "run `nerv render`")
        for recipient in sorted(able - wanted):
            yield Problem(path, 0, 0, f"{recipient} can read it, and .sops.yaml does not name him", "run `nerv render`")


def ruled(repository: Repository) -> Iterator[tuple[str, Mapping[str, Any], set[str]]]:
    """YAML files that fall under a rule with age recipients: path, contents, recipients."""
    try:
        read = mapping(documents.load(repository.files.get(RULES_FILE, "")))
    except documents.DocumentError:
        return  # reported with all texts that are not YAML
    rules = [mapping(rule) for rule in items(read.get("creation_rules"))]
    for path, text in repository.files.items():
        rule = next((rule for rule in rules if _holds(str(rule.get("path_regex", "")), path)), None)
        if rule is None or not rule.get("age") or not path.endswith((".yaml", ".yml")):
            continue
        try:
            tree = documents.load(text)
        except documents.DocumentError:
            continue
        yield path, mapping(tree), {key.strip() for key in str(rule["age"]).split(",")}


def _holds(pattern: str, path: str) -> bool:
    try:
        return re.search(pattern, path) is not None
    except re.error:
        return False  # Go's regular expressions know more; the rule is not NERV's then


def _leaves(tree: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Values that hold something, with the keys that lead to them; sops's own metadata left out."""

    def walk(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from walk(item, (*place, str(key)))
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, place)
        elif value not in ("", None):
            yield place, value

    yield from walk({key: value for key, value in tree.items() if key != "sops"}, ())


def private_keys(_platform: Platform, repository: Repository) -> Iterator[Problem]:
    """Private keys anywhere in a text file."""
    for path, text in repository.files.items():
        for pattern, what in _PRIVATE:
            found = pattern.search(text)
            if found:
                line = text.count("\n", 0, found.start()) + 1
                column = found.start() - text.rfind("\n", 0, found.start())
                yield Problem(path, line, column, f"{what} in clear", "remove it, and replace the key")
