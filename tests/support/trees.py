"""Rendered repositories as they stand after `nerv init`, with stand-ins for the encrypted files."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tests.support import platforms

from nerv.checks import repository
from nerv.checks.repository import Repository
from nerv.components import definition
from nerv.components.catalog import Platform
from nerv.rendering import secrets
from nerv.rendering.folders import Tree
from nerv.rendering.tree import tree

ENCRYPTED = "ENC[AES256_GCM,data:aaaa,iv:bbbb,tag:cccc,type:str]"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPg6qr6LGnkxZH2/+rFcc3ayn49XeRKP9Qo9GstnO5lo ada"
_HOST_KEYS = ("k3s-token", "k3s-agent-token", "flux-sops-age", "flux-git-login")


def platform() -> Platform:
    """The small platform, with a key that may log in."""
    text = platforms.SMALL.replace("  network:", f"  nixos: {{sshKeys: [{KEY}]}}\n  network:", 1)
    return definition.parse(text.encode())


def whole(platform: Platform) -> Tree:
    """The rendered repository with its encrypted files."""
    return dict(_whole(platform.model_dump_json(by_alias=True)))


def seen(files: Mapping[str, str]) -> Repository:
    """What checks of machines see of a repository: without the cluster's objects, which take long to read."""
    return repository.from_files({path: text for path, text in files.items() if path.startswith(("nixos/", ".sops"))})


@functools.cache
def _whole(text: str) -> Tree:
    platform = Platform.model_validate_json(text)
    public = platforms.public(platform)
    cluster, *hosts = secrets.groups(platform, public)
    made = tree(platform, public)
    for file in secrets.logins(platform):
        made[file.path] = (
            f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {file.name}, namespace: {file.namespace}}}\n"
            f"stringData: {{users: '{ENCRYPTED}'}}\n{metadata(cluster)}"
        )
    for path, group in zip(secrets.host_files(platform), hosts, strict=True):
        made[path] = "".join(f"{key}: {ENCRYPTED}\n" for key in _HOST_KEYS) + metadata(group)
    return made


def metadata(group: secrets.Group) -> str:
    """What sops leaves in a file of the group."""
    readers = "".join(f"  - recipient: {recipient}\n" for recipient in group.recipients)
    rule = f"  encrypted_regex: {group.encrypted}\n" if group.encrypted else ""
    return f"sops:\n  age:\n{readers}  mac: {ENCRYPTED}\n{rule}"
