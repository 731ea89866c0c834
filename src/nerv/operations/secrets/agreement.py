"""What stands in several places is the same everywhere: tokens, Flux's key, its login, the dashboards' password."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bcrypt

from nerv import documents
from nerv.components.catalog import Platform
from nerv.errors import Problem
from nerv.operations import keys
from nerv.operations.secrets import contents, private_keys
from nerv.rendering import secrets
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE

Clear = Mapping[str, Mapping[str, Any]]
"""Contents of encrypted files in clear, by path; those that can be opened."""


def check(platform: Platform, clear: Clear) -> Iterator[Problem]:
    """Every disagreement."""
    if SERVERS_FILE in clear:
        servers = clear[SERVERS_FILE]
        for key in (contents.SERVER_TOKEN, contents.AGENT_TOKEN, contents.FLUX_AGE, contents.FLUX_LOGIN):
            if not servers.get(key):
                yield Problem(SERVERS_FILE, 0, 0, f"{key} is missing", f"`nerv secrets edit {SERVERS_FILE}` adds it")
        if AGENTS_FILE in clear and clear[AGENTS_FILE].get(contents.AGENT_TOKEN) != servers.get(contents.AGENT_TOKEN):
            said = f"{contents.AGENT_TOKEN} is not the one of {SERVERS_FILE}: agents could not join"
            yield Problem(AGENTS_FILE, 0, 0, said, f"`nerv secrets rotate {contents.AGENT_TOKEN}`")
        yield from _flux(platform, servers)
    yield from _passwords(platform, clear)


def manifest_data(clear: Mapping[str, Any], key: str) -> Mapping[str, str]:
    """`stringData` of the manifest that a value holds; empty where it holds none."""
    try:
        return dict(documents.load(str(clear.get(key, "")))["stringData"])
    except (documents.DocumentError, TypeError, KeyError, ValueError):
        return {}


def _flux(platform: Platform, servers: Mapping[str, Any]) -> Iterator[Problem]:
    path = keys.folder_for(platform.name) / keys.FLUX
    held = manifest_data(servers, contents.FLUX_AGE).get("age.agekey", "")
    if path.exists() and held:
        known = private_keys.of_file(path).recipients[0]
        if known not in private_keys.of_text(held).recipients:
            yield Problem(
                SERVERS_FILE, 0, 0, f"{contents.FLUX_AGE} is not the key in {path}", "`nerv secrets rotate flux`"
            )
    login = manifest_data(servers, contents.FLUX_LOGIN)
    wanted = platform.spec.repository.login
    if login and ("identity" in login) != (wanted == "deployKey"):
        said = (
            f"{contents.FLUX_LOGIN} is no {'deploy key' if wanted == 'deployKey' else 'token'}, as nerv.yaml asks for"
        )
        yield Problem(SERVERS_FILE, 0, 0, said, "`nerv bootstrap`, or `nerv secrets rotate git-login`")


def _passwords(platform: Platform, clear: Clear) -> Iterator[Problem]:
    path = keys.credentials_file(platform.name)
    if not path.exists():
        yield Problem(str(path), 0, 0, "is missing", "restore it, or `nerv secrets rotate dashboards`")
        return
    password = keys.credentials(platform.name).password.encode()
    for file in secrets.logins(platform):
        if file.path in clear:
            line = str((clear[file.path].get("stringData") or {}).get(secrets.USERS_KEY, ""))
            hashed = line.strip().partition(":")[2]
            if not _fits(password, hashed):
                said = f"holds another password than {path}"
                yield Problem(file.path, 0, 0, said, "`nerv secrets rotate dashboards`")


def _fits(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password, hashed.encode())
    except ValueError:
        return False
