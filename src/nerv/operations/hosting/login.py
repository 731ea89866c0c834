"""How Flux logs in to the repository: the Secret flux-system/flux-system.

A key that is there is kept, in this order: the cluster's own Secret, the key given on the command line, the platform's
(nixos/secrets, where machines get it from); only else a new one is made.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from nerv.builders import ssh
from nerv.deploy.flux import NAME, NAMESPACE
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import SECRETS
from nerv.operations.hosting.request import Request


@dataclass(frozen=True)
class Login:
    """What the Secret holds. `present`: the cluster has it already, as it is."""

    data: Mapping[str, str] = field(repr=False)
    present: bool = False

    @property
    def public_key(self) -> str:
        """Of a deploy key; empty for a token."""
        return self.data.get("identity.pub", "").strip()

    def secret(self) -> Object:
        """The Secret for a cluster."""
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in self.data.items()}
        metadata = {"name": NAME, "namespace": NAMESPACE}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded}


async def of_cluster(client: Client | None) -> Mapping[str, str]:
    """What the cluster's Secret holds; empty where there is none, or no cluster."""
    if client is None:
        return {}
    try:
        found = await client.get(SECRETS, NAME, NAMESPACE)
    except errors.NotFound:
        return {}
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in (found.get("data") or {}).items()}


def with_token(request: Request, username: str, token: str, there: Mapping[str, str]) -> Login:
    """By user and token (or password); another token than the cluster has replaces it."""
    wanted = {"username": username, "password": token}
    if request.options.authorities:
        wanted["ca.crt"] = request.options.authorities
    return Login(wanted, present=all(there.get(key) == value for key, value in wanted.items()))


def with_key(request: Request, there: Mapping[str, str], stored: Mapping[str, str]) -> Login:
    """By a key; `known_hosts` is empty where nobody has said it yet."""
    given = request.options
    if there.get("identity") and not given.private_key:
        known_hosts = given.known_hosts or there.get("known_hosts", "")
        return Login({**there, "known_hosts": known_hosts}, present=known_hosts == there.get("known_hosts"))
    if given.private_key:
        made = ssh.identity(given.private_key)
    elif stored.get("identity"):
        made = ssh.identity(stored["identity"])
    else:
        made = ssh.generate()
    known_hosts = given.known_hosts or stored.get("known_hosts", "")
    data = {"identity": made.private, "identity.pub": made.public, "known_hosts": known_hosts}
    return Login(data, present=all(there.get(key) == value for key, value in data.items()))
