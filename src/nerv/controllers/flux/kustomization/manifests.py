"""The manifests of a Kustomization: built, decrypted, substituted, object by object in that order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nerv.builders import kustomize
from nerv.builders.kustomize import BuildError, Overlay, Sources, substitution
from nerv.controllers.flux.kustomization import decryption
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import CONFIG_MAPS, SECRETS


async def build(client: Client, namespace: str, spec: Mapping[str, Any], sources: Sources) -> list[Object]:
    """The objects to apply; shared with other builds: never mutate them. Raises BuildError, PathError."""
    keys = None
    if spec.get("decryption"):
        keys = await decryption.identities(client, namespace, spec["decryption"])
    built = await kustomize.build(sources, spec.get("path") or "", Overlay.of(spec), keys)
    for obj in built:
        if not (objects.name(obj) and objects.kind(obj) and objects.api_version(obj)):
            raise BuildError(f"failed to decode Kubernetes apiVersion, kind and name from: {_shown(obj)}")
    if keys is not None:
        built = [decryption.opened(obj, keys) for obj in built]
    if spec.get("postBuild") and built:
        built = await _substituted(client, namespace, spec["postBuild"], built)
    return [obj for obj in built if not _is_kustomization(obj)]


def _shown(obj: Object) -> str:
    return ", ".join(f"{key}: {obj[key]}" for key in ("apiVersion", "kind") if obj.get(key)) or "an object without kind"


def _is_kustomization(obj: Object) -> bool:
    return objects.kind(obj) == "Kustomization" and objects.api_version(obj).startswith("kustomize.config.k8s.io/")


async def _substituted(client: Client, namespace: str, spec: Mapping[str, Any], built: list[Object]) -> list[Object]:
    place = f"post build failed for '{decryption.described(built[0])}'"
    try:
        sources = [await _variables(client, namespace, each) for each in spec.get("substituteFrom") or ()]
        values = substitution.variables(sources, spec.get("substitute") or {})
    except BuildError as error:
        raise BuildError(f"{place}: {error.message}") from None
    if not values:
        return built
    return await asyncio.to_thread(_each, built, values)


def _each(built: list[Object], values: Mapping[str, str]) -> list[Object]:
    result = []
    for obj in built:
        try:
            result.append(substitution.substitute(obj, values))
        except BuildError as error:
            raise BuildError(f"post build failed for '{decryption.described(obj)}': {error.message}") from None
    return result


async def _variables(client: Client, namespace: str, reference: Mapping[str, Any]) -> dict[str, str]:
    resource = SECRETS if reference["kind"] == "Secret" else CONFIG_MAPS
    try:
        return substitution.from_data(await client.get(resource, reference["name"], namespace))
    except errors.NotFound as error:
        if reference.get("optional"):
            return {}
        why = error.message
    except errors.ApiError as error:
        why = error.message
    raise BuildError(f"substitute from '{reference['kind']}/{reference['name']}' error: {why}")
