"""The way back when the operator's key is lost: another key that can read makes a new operator.

Other keys are a person's (spec.secrets.recipients), Flux's (in a backup, or in a cluster's Secret
flux-system/sops-age) and a machine's SSH host key. Between them they open everything; what none of those given can open
is made anew where NERV made it, and that only on demand: machines that run with the old tokens are not reached by new
ones.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nerv import documents
from nerv.builders import sops
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.components.flux import resources as flux
from nerv.components.flux.controllers import NAMESPACE
from nerv.errors import NervError
from nerv.kube.client import Client
from nerv.kube.errors import NotFound
from nerv.kube.resources import SECRETS
from nerv.operations import host_keys, keys, rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.rendering import Change
from nerv.operations.secrets import contents, files, private_keys, replacing
from nerv.operations.secrets.files import File
from nerv.operations.secrets.private_keys import PrivateKeys
from nerv.operations.secrets.replacing import Replacement
from nerv.rendering import secrets
from nerv.rendering.public import PublicKeys
from nerv.rendering.secrets import AGENTS_FILE, SERVERS_FILE


@dataclass(frozen=True)
class Recovered:
    """What the way back led to."""

    written: tuple[str, ...]
    made_anew: tuple[str, ...]
    """Files whose contents are other ones now."""
    lost: tuple[str, ...]
    """Files that nobody here can read; they are left as they are."""
    new_flux_key: bool
    new_password: bool


async def flux_keys(client: Client) -> PrivateKeys:
    """Flux's private keys in a cluster. Raises NervError, ApiError."""
    try:
        found = await client.get(SECRETS, flux.AGE_SECRET, NAMESPACE)
    except NotFound:
        raise NervError(f"the cluster has no Secret {NAMESPACE}/{flux.AGE_SECRET}") from None
    held = private_keys.none()
    for name, value in found.get("data", {}).items():
        if name.endswith(".agekey"):
            held += private_keys.of_text(base64.b64decode(value).decode())
    return held


async def recover(
    folder: PlatformFolder, given: PrivateKeys, host_pems: tuple[str, ...] = (), *, anew: bool = False
) -> Recovered:
    """Make a new operator's key and encrypt for it all that `given` opens; `anew`: and make anew what it does not.

    `host_pems` are SSH host keys, kept where they are those of a node. Raises NervError with nothing changed where
    something cannot be opened and `anew` is not set.
    """
    platform = definition.load(folder.definition)
    found = _Found.look(folder, platform, given)
    closed = [file for file in found.files if not found.own.open_any(file.recipients)]
    own_files = set(secrets.encrypted(platform))
    if closed and not anew:
        listed = ", ".join(file.path for file in closed)
        hint = "give more keys (a server's SSH host key opens nixos/secrets/), or --anew to make new contents"
        raise NervError(f"the keys given do not open {listed}", hint)
    operator, flux_key = keys.new_key(), found.flux_key or keys.new_key()
    public = PublicKeys(keys.recipient_of(operator), keys.recipient_of(flux_key), found.public.hosts)
    base = keys.folder_for(platform.name)
    first: dict[Path, str | None] = {**_stale(base), base / keys.OPERATOR: operator}
    if not (base / keys.FLUX).exists():
        first[base / keys.FLUX] = flux_key
    login = None if keys.credentials_file(platform.name).exists() else keys.new_credentials()
    if login:
        first[keys.credentials_file(platform.name)] = login.text()
    first |= _host_files(platform, found.public, host_pems)
    with replacing.replacing(Replacement(first)):
        made = _anew(platform, closed, found, new_password=login is not None, flux_key=flux_key)
        left = frozenset(file.path for file in closed if file.path not in own_files)
        done = await rendering.write(folder, platform, public, found.own, Change(made, renew=True, left=left))
    return Recovered(
        written=tuple(sorted({*done.written, *done.encrypted})),
        made_anew=tuple(sorted(file.path for file in closed if file.path in own_files)),
        lost=tuple(sorted(left)),
        new_flux_key=found.flux_key is None,
        new_password=login is not None,
    )


@dataclass(frozen=True)
class _Found:
    """What there is without the operator's key."""

    public: PublicKeys
    files: tuple[File, ...]
    own: PrivateKeys = field(repr=False)
    servers: dict[str, Any] | None = field(repr=False)
    """nixos/secrets/servers.sops.yaml in clear, where it can be opened."""
    flux_key: str | None = field(repr=False)
    """Text of Flux's key file, where it is here or in what can be opened."""

    @classmethod
    def look(cls, folder: PlatformFolder, platform: Platform, given: PrivateKeys) -> _Found:
        operator, flux_recipient = rendering.committed_recipients(folder)
        public = PublicKeys(operator, flux_recipient, host_keys.load(platform, folder.root))
        own = given + private_keys.of_user(platform.name)
        if (keys.folder_for(platform.name) / keys.OPERATOR).exists() and operator in own.recipients:
            raise NervError("the operator's key is not lost", "`nerv secrets rotate operator` replaces it")
        present = files.present(folder.root, platform, secrets.groups(platform, public))
        servers = _servers(present, own)
        flux_key = _flux_key(platform, own, flux_recipient, servers)
        # a server's file holds Flux's key, which opens what the server does not
        own += private_keys.of_text(flux_key) if flux_key else private_keys.none()
        return cls(public, tuple(present), own, servers, flux_key)


def _servers(present: list[File], own: PrivateKeys) -> dict[str, Any] | None:
    file = next((file for file in present if file.path == SERVERS_FILE and own.open_any(file.recipients)), None)
    return dict(own.decrypt(file.text, file.path)) if file else None


def _flux_key(platform: Platform, own: PrivateKeys, recipient: str, servers: dict[str, Any] | None) -> str | None:
    path = keys.folder_for(platform.name) / keys.FLUX
    if path.exists():
        return path.read_text(encoding="utf-8")
    for secret, public in zip(own.secrets, own.recipients, strict=True):
        if public == recipient:
            return f"# public key: {public}\n{secret}\n"
    try:
        held = documents.load((servers or {}).get(contents.FLUX_AGE, ""))
        return str(held["stringData"]["age.agekey"])
    except (documents.DocumentError, TypeError, KeyError):
        return None


def _anew(
    platform: Platform, closed: list[File], found: _Found, *, new_password: bool, flux_key: str
) -> dict[str, dict[str, Any]]:
    """Contents of NERV's files that nobody can open, of the logins when their password is lost, and of the servers'
    file when Flux has another key."""
    paths = {file.path for file in closed}
    made: dict[str, dict[str, Any]] = {
        file.path: dict(contents.login(file, platform.name))
        for file in secrets.logins(platform)
        if new_password or file.path in paths
    }
    made |= {file.path: dict(contents.webhook(file)) for file in secrets.webhook(platform) if file.path in paths}
    agents = next((file for file in found.files if file.path == AGENTS_FILE and file.path not in paths), None)
    agent_token = contents.new_token()
    if found.servers is not None:
        agent_token = str(found.servers.get(contents.AGENT_TOKEN, agent_token))
    elif agents is not None:
        agent_token = str(found.own.decrypt(agents.text, agents.path).get(contents.AGENT_TOKEN, agent_token))
    if SERVERS_FILE in paths:
        made[SERVERS_FILE] = contents.servers(platform, agent_token)
    elif found.servers is not None and found.flux_key is None:
        made[SERVERS_FILE] = {**found.servers, contents.FLUX_AGE: contents.age_secret(flux_key)}
    if AGENTS_FILE in paths:
        made[AGENTS_FILE] = {contents.AGENT_TOKEN: agent_token}
    return made


def _stale(base: Path) -> dict[Path, str]:
    """An operator's key that is here and opens nothing: kept aside, for it may be somebody's."""
    path = base / keys.OPERATOR
    if not path.exists():
        return {}
    return {replacing.retired(base, path): path.read_text(encoding="utf-8")}


def _host_files(platform: Platform, public: PublicKeys, pems: tuple[str, ...]) -> dict[Path, str]:
    """Host keys among those given that are a node's, for the operator's folder."""
    kept = {}
    for pem in pems:
        recipient = sops.ssh.recipient(host_keys.public_line(pem, ""))
        for node in platform.spec.nodes:
            if public.recipient(node.name) == recipient:
                kept[host_keys.file_of(platform.name, node.name)] = pem
    return kept
