"""Longhorn's Jobs: uninstalling, and what surrounds an upgrade. Other pods of the image wait for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from nerv.controllers import presence
from nerv.controllers.services.context import ClientFor
from nerv.controllers.services.storage import resources
from nerv.controllers.services.storage.webhook import MUTATOR, VALIDATOR
from nerv.kube import errors, objects
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import (
    CSI_DRIVERS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    MUTATING_WEBHOOKS,
    PODS,
    SECRETS,
    STORAGE_CLASSES,
    VALIDATING_WEBHOOKS,
    Resource,
)

_BACKEND = "longhorn-backend:9500"
_REFUSAL = (
    "cannot uninstall Longhorn because deleting-confirmation-flag is set to `false`. Please set it to `true` using "
    "Longhorn UI or kubectl -n longhorn-system edit settings.longhorn.io deleting-confirmation-flag "
)


async def run(client_for: ClientFor, pod: Object, container: tuple[str, ...], log: Callable[[str], None]) -> int:
    """The exit code of a Job's or an init container; never returns for the manager, the deployer and the plugin.

    `container` are the arguments of this very container, which is not always the pod's main one.
    """
    if container[:1] == ("-c",) and _BACKEND in container[-1]:
        return await _wait_for_manager(client_for, objects.namespace(pod), log)
    words = presence.arguments(pod, resources.MANAGER_IMAGE)
    if "uninstall" in words:
        return await _as_account(client_for, pod, log)
    if "pre-upgrade" in words or "post-upgrade" in words:
        log('level=info msg="nothing to change for this version"')
        return 0
    await asyncio.Event().wait()
    return 0


async def _wait_for_manager(client_for: ClientFor, space: str, log: Callable[[str], None]) -> int:
    """What the init container asks with curl: whether a manager stands behind longhorn-backend:9500."""
    client = client_for("system:admin", ("system:masters", "system:authenticated"))
    selector = f"kubernetes.io/service-name={resources.BACKEND_SERVICE}"
    # a list, then a watch: Kubernetes 1.31 has no watch that begins with what is there
    listed = await client.list(ENDPOINT_SLICES, space, label_selector=selector)
    while not any(map(_is_ready, listed.items)):
        changes = client.watch(
            ENDPOINT_SLICES, space, resource_version=listed.resource_version, label_selector=selector
        )
        async with aclosing(changes) as events:
            async for event in events:
                if _is_ready(event.object):
                    break
        listed = await client.list(ENDPOINT_SLICES, space, label_selector=selector)
    log(f"{_BACKEND} has a ready endpoint")
    return 0


def _is_ready(endpoint_slice: Object) -> bool:
    return any((each.get("conditions") or {}).get("ready") for each in endpoint_slice.get("endpoints") or [])


async def _as_account(client_for: ClientFor, pod: Object, log: Callable[[str], None]) -> int:
    space, account = objects.namespace(pod), pod["spec"].get("serviceAccountName") or "default"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{space}", "system:authenticated")
    return await uninstall(client_for(f"system:serviceaccount:{space}:{account}", groups), space, log)


async def uninstall(client: Client, space: str, log: Callable[[str], None]) -> int:
    """Refuse unless deletion is confirmed; then take away everything that was made at run time."""
    try:
        flag = await client.get(resources.SETTINGS, resources.DELETING_CONFIRMATION, space)
    except errors.NotFound:
        flag = {}
    if flag.get("value") != "true":
        log(f'level=error msg="Failed to uninstall" error="{_REFUSAL}"')
        return 1
    # the manager would make again what is taken away: it goes first, and with it its webhooks
    for resource, name in ((DEPLOYMENTS, "longhorn-driver-deployer"), (DAEMON_SETS, "longhorn-manager")):
        await _delete(client, resource, name, space)
    await _until_gone(client, space, "app=longhorn-manager")
    # what the manager was about to make when it was stopped is found by another look
    while await _sweep(client, space, log):
        continue
    log('level=info msg="Uninstallation completed"')
    return 0


async def _sweep(client: Client, space: str, log: Callable[[str], None]) -> int:
    """Delete everything that is there, webhooks first: nobody answers them any more. Returns how many were found."""
    found = await _named(client, space)
    for resource in resources.ALL:
        for obj in (await client.list(resource, space)).items:
            if objects.finalizers(obj):
                await client.patch(resource, objects.name(obj), space, {"metadata": {"finalizers": None}})
            log(f'level=info msg="Deleting {resource.kind} {objects.name(obj)}"')
            found += await _delete(client, resource, objects.name(obj), space)
    selector = f"{resources.GROUP}/managed-by=longhorn-manager"
    for resource in (DAEMON_SETS, DEPLOYMENTS, PODS):
        for obj in (await client.list(resource, space, label_selector=selector)).items:
            if not objects.deleting(obj):
                found += await _delete(client, resource, objects.name(obj), space)
    for storage_class in (await client.list(STORAGE_CLASSES)).items:
        if storage_class.get("provisioner") == resources.DRIVER:
            found += await _delete(client, STORAGE_CLASSES, objects.name(storage_class), None)
    return found


async def _named(client: Client, space: str) -> int:
    found = 0
    for resource, name in ((VALIDATING_WEBHOOKS, VALIDATOR), (MUTATING_WEBHOOKS, MUTATOR)):
        found += await _delete(client, resource, name, None)
    for name in ("longhorn-webhook-ca", "longhorn-webhook-tls"):
        found += await _delete(client, SECRETS, name, space)
    return found + await _delete(client, CSI_DRIVERS, resources.DRIVER, None)


async def _until_gone(client: Client, space: str, selector: str) -> None:
    while True:
        listed = await client.list(PODS, space, label_selector=selector)
        if not listed.items:
            return
        changes = client.watch(PODS, space, resource_version=listed.resource_version, label_selector=selector)
        async with aclosing(changes) as events:
            async for event in events:
                if event.type == "DELETED":
                    break


async def _delete(client: Client, resource: Resource, name: str, space: str | None) -> int:
    """1 if there was such an object."""
    try:
        await client.delete(resource, name, space)
    except errors.NotFound:
        return 0
    return 1
