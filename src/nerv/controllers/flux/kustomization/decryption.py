"""Decryption of what a build gave: keys from the Secret of `spec.decryption`, SOPS objects, SOPS files in Secrets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from nerv.builders import sops
from nerv.builders.kustomize import BuildError
from nerv.controllers.flux.kustomization import drift
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object, split_api_version
from nerv.kube.resources import SECRETS

_KEY_FILE = ".agekey"


async def identities(client: Client, namespace: str, decryption: Mapping[str, Any]) -> list[Any]:
    """The age identities of the Secret that `spec.decryption` names. Raises BuildError."""
    reference = decryption.get("secretRef")
    if not reference:
        return []
    name = f"{namespace}/{reference['name']}"
    try:
        secret = await client.get(SECRETS, reference["name"], namespace)
    except errors.NotFound as error:
        raise BuildError(error.message) from None
    except errors.ApiError as error:
        raise BuildError(f"cannot get sops decryption Secret '{name}': {error.message}") from None
    found: list[Any] = []
    for key, value in (secret.get("data") or {}).items():
        if not key.endswith(_KEY_FILE):
            continue
        try:
            found += sops.read_identities(base64.b64decode(value).decode("utf-8", "replace"))
        except sops.SopsError as error:
            raise BuildError(f"failed to import '{key}' data from sops decryption Secret '{name}': {error}") from None
    return found


def opened(obj: Object, identities: sops.Identities) -> Object:
    """The object in the clear; itself when nothing in it is encrypted, or when it opts out. Raises BuildError."""
    if drift.switched(obj, "decrypt", "disabled"):
        return obj
    try:
        if sops.is_encrypted(obj):
            return _object(obj, identities)
        if objects.kind(obj) == "Secret" and obj.get("data"):
            return _fields(obj, identities)
    except sops.SopsError as error:
        raise BuildError(f"decryption failed for '{described(obj)}': {error.message}") from None
    return obj


def described(obj: Object) -> str:
    """`Secret.v1.[noGrp]/name`, as kustomize writes an object's kind."""
    group, version = split_api_version(objects.api_version(obj))
    return f"{objects.kind(obj)}.{version}.{group or '[noGrp]'}/{objects.name(obj)}"


def is_encrypted_secret(obj: Object) -> bool:
    """Whether a Secret would be applied as SOPS wrote it, which the API server might even accept."""
    return (
        objects.kind(obj) == "Secret"
        and objects.api_version(obj) == "v1"
        and "sops" in obj
        and not drift.switched(obj, "decrypt", "disabled")
    )


def _object(obj: Object, identities: sops.Identities) -> Object:
    place = f"failed to decrypt and format '{objects.namespace(obj)}/{objects.name(obj)}' {objects.kind(obj)} data"
    try:
        # without the MAC: the build put a namespace, labels or annotations into most objects
        return sops.decrypt_tree(obj, identities, verify=False)
    except sops.SopsError as error:
        raise sops.SopsError(f"{place}: {error.message}") from None


def _fields(obj: Object, identities: sops.Identities) -> Object:
    """Files that were encrypted before a generator put them into a Secret."""
    data = dict(obj["data"])
    for key, value in obj["data"].items():
        try:
            content = base64.b64decode(value or "", validate=True)
        except ValueError:
            continue  # the API server will say so
        kind = sops.detect(content)
        if kind is None:
            continue
        try:
            plain = sops.decrypt(content, identities, kind, sops.format_of(key), verify=False)
        except sops.SopsError as error:
            place = f"'{objects.namespace(obj)}/{objects.name(obj)}' Secret field '{key}'"
            raise sops.SopsError(f"failed to decrypt and format {place}: {error.message}") from None
        data[key] = base64.b64encode(plain).decode()
    return obj if data == obj["data"] else {**obj, "data": data}
