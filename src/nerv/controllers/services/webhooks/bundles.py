"""CA bundles in webhook configurations, conversions of CRDs and APIServices, written only where they differ."""

from __future__ import annotations

import base64

from nerv.controllers.runtime import Writer
from nerv.kube.objects import Object
from nerv.kube.resources import (
    API_SERVICES,
    CUSTOM_RESOURCE_DEFINITIONS,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
    Resource,
)

INJECTABLE = (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS, CUSTOM_RESOURCE_DEFINITIONS, API_SERVICES)
"""The kinds that carry a bundle."""


def patch(resource: Resource, obj: Object, bundle_pem: str) -> Object | None:
    """The patch that puts the bundle in every place of the object; None when it is there."""
    wanted = base64.b64encode(bundle_pem.encode()).decode()
    carried = {"caBundle": wanted}
    if resource is API_SERVICES:
        misses = obj["spec"].get("service") and obj["spec"].get("caBundle") != wanted
        return {"spec": carried} if misses else None
    if resource is CUSTOM_RESOURCE_DEFINITIONS:
        conversion = obj["spec"].get("conversion") or {}
        config = (conversion.get("webhook") or {}).get("clientConfig")
        misses = conversion.get("strategy") == "Webhook" and config and config.get("caBundle") != wanted
        return {"spec": {"conversion": {"webhook": {"clientConfig": carried}}}} if misses else None
    changed = [
        {"name": webhook["name"], "clientConfig": carried}
        for webhook in obj.get("webhooks") or []
        if webhook["clientConfig"].get("caBundle") != wanted
    ]
    return {"webhooks": changed} if changed else None


async def inject(writer: Writer, resource: Resource, obj: Object, bundle_pem: str) -> bool:
    """Write the bundle where it is missing or another. Returns whether anything was written."""
    changes = patch(resource, obj, bundle_pem)
    if changes is None:
        return False
    # webhooks are merged by their names, whatever others change meanwhile
    kind = "strategic" if resource in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS) else "merge"
    await writer.patch(resource, obj, changes, type=kind)
    return True
