"""Flux's login to the platform's repository: made with the platform, completed when the repository's host is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nerv import documents
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.components.flux import resources as flux
from nerv.components.flux.controllers import NAMESPACE
from nerv.components.objects import Object
from nerv.errors import NervError
from nerv.operations import rendering, sops
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import contents, files, private_keys
from nerv.operations.secrets.contents import FLUX_LOGIN
from nerv.rendering import secrets, writing
from nerv.rendering.secrets import SERVERS_FILE, SecretFile


@dataclass(frozen=True)
class GitLogin:
    """A token (username, password) or a deploy key (identity, identity.pub, known_hosts)."""

    data: Mapping[str, str] = field(repr=False)

    @property
    def deploy_key(self) -> str | None:
        """The public key that the repository's host must know; None for a token."""
        return self.data.get("identity.pub")

    @property
    def complete(self) -> bool:
        """Whether Flux can log in with it: false until the repository's host was asked."""
        return all(self.data.values())

    def secret(self) -> Object:
        """The Secret flux-system/flux-system for a cluster."""
        return SecretFile("", NAMESPACE, flux.SYNC).secret(dict(self.data))


def git_login(folder: PlatformFolder) -> GitLogin:
    """The login that the repository holds. Raises NervError where no key here opens it."""
    platform = definition.load(folder.definition)
    return _read(platform, files.read(folder.root, SERVERS_FILE))


async def set_git_login(
    folder: PlatformFolder, given: Mapping[str, str] | None = None, *, new_key: bool = False
) -> GitLogin:
    """Store what is `given` of the login (user and token; the deploy key, the hosts that it may be shown to) in
    nixos/secrets; `new_key` makes another deploy key. A login of the other kind than the definition asks for is made
    anew.

    Raises NervError, with nothing written, where no key here opens the file.
    """
    platform = definition.load(folder.definition)
    text = files.read(folder.root, SERVERS_FILE)
    before = dict(_read(platform, text).data)
    after = before
    fresh = contents.git_login(platform.spec.repository)
    if fresh.keys() != before.keys():
        after = fresh
    elif new_key:
        after = {**fresh, "known_hosts": before.get("known_hosts", "")} if "known_hosts" in fresh else fresh
    if not (given or {}).keys() <= after.keys():
        raise NervError(f"the repository's login is no {'token' if 'identity' in after else 'deploy key'}")
    after = {**after, **(given or {})}
    if after != before:
        own = private_keys.of_user(platform.name)
        with sops.bench(secrets.groups(platform, rendering.public_keys(folder, platform))) as bench:
            manifest = contents.login_manifest(after)
            changed = await bench.set(SERVERS_FILE, text, FLUX_LOGIN, manifest, own.environment)
        writing.replace(folder.root, {SERVERS_FILE: changed})
    return GitLogin(after)


def _read(platform: Platform, text: str) -> GitLogin:
    held = private_keys.of_user(platform.name).decrypt(text, SERVERS_FILE).get(FLUX_LOGIN, "")
    try:
        data = documents.load(held)["stringData"]
        return GitLogin({str(key): str(value) for key, value in data.items()})
    except (documents.DocumentError, TypeError, KeyError, AttributeError):
        hint = "`nerv secrets rotate git-login` makes it anew"
        raise NervError(f"{FLUX_LOGIN} in {SERVERS_FILE} is not the manifest of a Secret", hint) from None
