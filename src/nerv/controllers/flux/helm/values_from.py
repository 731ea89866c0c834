"""`spec.valuesFrom`: values out of ConfigMaps and Secrets, in their order, then the inline ones."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from nerv.builders.helm import sdk, values
from nerv.controllers.flux.helm.view import View
from nerv.errors import NervError
from nerv.kube import errors
from nerv.kube.client import Client
from nerv.kube.resources import CONFIG_MAPS, SECRETS

_RESOURCES = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}


async def compose(client: Client, view: View) -> dict[str, Any]:
    """All values together. Raises NervError with Flux's words."""
    inline: Mapping[str, Any] = view.spec.get("values") or {}
    result: dict[str, Any] = {}
    for each in view.spec.get("valuesFrom") or ():
        text = await _text(client, view.namespace, each)
        if text is not None:
            result = await _add(result, inline, view.namespace, each, text)
    return values.merge(result, inline)


async def _add(
    result: Mapping[str, Any], inline: Mapping[str, Any], namespace: str, each: Mapping[str, Any], text: str
) -> dict[str, Any]:
    path = each.get("targetPath")
    if path:
        # a path is set into the inline values as well: they do not win over it
        base = values.merge(result, inline)
        try:
            return await sdk.call(lambda: values.set_path(base, path, text))
        except sdk.HelmError as error:
            raise _failure(namespace, each, error.message) from None
    try:
        found = (await sdk.call(lambda: sdk.parse_yaml([text])))[0] if text.strip() else {}
    except sdk.HelmError as error:
        raise _failure(namespace, each, error.message) from None
    return values.merge(result, found or {})


async def _text(client: Client, namespace: str, each: Mapping[str, Any]) -> str | None:
    """What the reference holds, or None for an optional one that holds nothing."""
    optional = bool(each.get("optional"))
    resource = _RESOURCES[each["kind"]]
    try:
        obj = await client.get(resource, each["name"], namespace)
    except errors.NotFound as error:
        if optional:
            return None
        raise _failure(namespace, each, error.message) from None
    data = obj.get("data") or {}
    key = _key(each)
    if key not in data:
        if optional:
            return None
        raise _failure(namespace, each, "key not found")
    return base64.b64decode(data[key]).decode() if resource is SECRETS else str(data[key])


def _key(each: Mapping[str, Any]) -> str:
    return each.get("valuesKey") or "values.yaml"


def _failure(namespace: str, each: Mapping[str, Any], why: str) -> NervError:
    optional = " optional" if each.get("optional") else ""
    name = f"{namespace}/{each['name']}"
    return NervError(
        f"could not resolve{optional} {each['kind']} chart values reference '{name}' with key '{_key(each)}': {why}"
    )
