"""What NERV itself keeps encrypted: the dashboards' logins, K3s's tokens, Flux's key and login to the repository."""

from __future__ import annotations

import asyncio
import secrets as random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.builders import ssh
from nerv.components.catalog import Platform
from nerv.components.flux import resources as flux
from nerv.components.flux.controllers import NAMESPACE
from nerv.errors import NervError
from nerv.operations import keys, sops
from nerv.operations.secrets import files, private_keys
from nerv.operations.secrets.private_keys import PrivateKeys
from nerv.operations.sops import Bench
from nerv.platform.models import RepositorySettings
from nerv.rendering import secrets
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE, Group, SecretFile

SERVER_TOKEN = "k3s-token"
AGENT_TOKEN = "k3s-agent-token"
FLUX_AGE = "flux-sops-age"
FLUX_LOGIN = "flux-git-login"
_TOKEN_BYTES = 32


def new_token() -> str:
    """A token for nodes to join with."""
    return random.token_hex(_TOKEN_BYTES)


def age_secret(flux_key: str) -> str:
    """The manifest of flux-system/sops-age."""
    return _manifest(flux.AGE_SECRET, {"age.agekey": flux_key})


def git_login(repository: RepositorySettings) -> dict[str, str]:
    """Flux's login as it is before the repository's host was asked: without the token, or with a new deploy key and no
    known hosts."""
    if repository.login == "token":
        return {"username": "git", "password": ""}
    made = ssh.generate()
    return {"identity": made.private, "identity.pub": f"{made.public}\n", "known_hosts": ""}


def login_manifest(data: Mapping[str, str]) -> str:
    """The manifest of flux-system/flux-system."""
    return _manifest(flux.SYNC, data)


async def missing(
    bench: Bench, root: Path, platform: Platform, own: PrivateKeys, given: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Every encrypted file of NERV that is not there yet, and those whose contents are `given`.

    Raises NervError where a key that is needed is not here.
    """
    absent = [path for path in secrets.encrypted(platform) if path not in given and not (root / path).exists()]
    made = dict(given)
    for file in secrets.logins(platform):
        if file.path in absent:
            made[file.path] = login(file, platform.name)
    for file in secrets.webhook(platform):
        if file.path in absent:
            made[file.path] = webhook(file)
    if SERVERS_FILE in absent:
        made[SERVERS_FILE] = servers(platform, _agent_token(root, AGENTS_FILE, own))
    if AGENTS_FILE in absent:
        made[AGENTS_FILE] = {
            AGENT_TOKEN: made[SERVERS_FILE][AGENT_TOKEN]
            if SERVERS_FILE in made
            else _agent_token(root, SERVERS_FILE, own)
        }
    return await encrypted(bench, made)


async def unfinished(root: Path, platform: Platform, groups: Sequence[Group], own: PrivateKeys) -> dict[str, str]:
    """The servers' file with Flux's new key, where a rotation of it was interrupted: two keys are in its file then.

    Raises NervError where no key here opens the servers' file.
    """
    path = keys.folder_for(platform.name) / keys.FLUX
    if not path.exists() or not (root / SERVERS_FILE).exists() or len(private_keys.of_file(path).secrets) == 1:
        return {}
    key = keys.first_key(path.read_text(encoding="utf-8"))
    with sops.bench(groups) as bench:
        text = files.read(root, SERVERS_FILE)
        return {SERVERS_FILE: await bench.set(SERVERS_FILE, text, FLUX_AGE, age_secret(key), own.environment)}


async def encrypted(bench: Bench, made: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The texts of these files, encrypted side by side. Raises NervError."""
    texts = await asyncio.gather(*(bench.encrypt(path, document) for path, document in made.items()))
    return dict(zip(made, texts, strict=True))


def login(file: SecretFile, name: str) -> Mapping[str, Any]:
    """The Secret with the dashboards' login. Raises NervError."""
    return file.secret({secrets.USERS_KEY: keys.credentials(name).htpasswd()})


def webhook(file: SecretFile) -> Mapping[str, Any]:
    """The Secret with a new token of Flux's Receiver."""
    return file.secret({secrets.TOKEN_KEY: new_token()})


def servers(platform: Platform, agent_token: str) -> dict[str, str]:
    """What servers are started with. Raises NervError where Flux's key is not here."""
    return {
        SERVER_TOKEN: new_token(),
        AGENT_TOKEN: agent_token,
        FLUX_AGE: age_secret(keys.require(platform.name).flux_key()),
        FLUX_LOGIN: login_manifest(git_login(platform.spec.repository)),
    }


def _agent_token(root: Path, path: str, own: PrivateKeys) -> str:
    """The token that the other file holds already, or a new one. Raises NervError where it cannot be read."""
    if not (root / path).exists():
        return new_token()
    token = own.decrypt(files.read(root, path), path).get(AGENT_TOKEN)
    if not isinstance(token, str) or not token:
        raise NervError(f"{path} holds no {AGENT_TOKEN}", f"`nerv secrets edit {path}` adds it")
    return token


def _manifest(name: str, data: Mapping[str, str]) -> str:
    return documents.dump(SecretFile("", NAMESPACE, name).secret(dict(data)))
