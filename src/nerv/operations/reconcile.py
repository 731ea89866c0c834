"""Asking Flux for work the standard way: annotations that its controllers answer in the status, and `spec.suspend`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from nerv.errors import NervError
from nerv.kube import objects
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations import kinds, reference, trace, waiting
from nerv.operations.tree import Key
from nerv.operations.waiting import Say

REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
FORCE_AT = "reconcile.fluxcd.io/forceAt"
RESET_AT = "reconcile.fluxcd.io/resetAt"
RECONCILED = (*kinds.SOURCES, kinds.KUSTOMIZATIONS, kinds.HELM_RELEASES, kinds.RECEIVERS)
"""What has a reconciler that answers; Alert and Provider are read when an event comes."""
SUSPENDED_TOGETHER = (kinds.KUSTOMIZATIONS, kinds.HELM_RELEASES)
"""What `--all` without a kind means: what changes the cluster. Sources only fetch."""


@dataclass(frozen=True)
class Request:
    """How to reconcile. `force` and `reset` are for releases: act although nothing changed; forget failures."""

    with_source: bool = False
    wait: bool = True
    timeout: float = 300.0
    force: bool = False
    reset: bool = False


def require_flux(resource: Resource) -> None:
    """Raises NervError for a kind that Flux does not reconcile."""
    if (resource.group, resource.kind) not in {(each.group, each.kind) for each in RECONCILED}:
        raise NervError(
            f"{resource.qualified} is not reconciled by Flux",
            f"one of {', '.join(each.plural for each in RECONCILED)}",
        )


async def reconcile(
    client: Client, catalogue: Catalogue, resource: Resource, obj: Object, request: Request, say: Say
) -> str:
    """Ask for it, sources first if wished. Returns the outcome in Flux's words. Raises NervError when it failed."""
    require_flux(resource)
    if (obj.get("spec") or {}).get("suspend"):
        raise NervError(f"{reference.shown(obj)} is suspended", f"`nerv resume {reference.shown(obj)}`")
    if request.with_source:
        for source_resource, source in await _sources(client, catalogue, obj):
            await _ask(client, source_resource, source, Request(timeout=request.timeout), say)
    return await _ask(client, resource, obj, request, say)


async def _sources(client: Client, catalogue: Catalogue, obj: Object) -> list[tuple[Resource, Object]]:
    """What the object takes its content from, the outermost first."""
    found: list[tuple[Resource, Object]] = []
    key = trace.source_reference(obj)
    while key:
        resource, source = await _get(client, catalogue, key)
        found.insert(0, (resource, source))
        key = trace.source_reference(source) if key.kind == "HelmChart" else None
    if not found:
        raise NervError(f"{reference.shown(obj)} has no source of its own", "leave out --with-source")
    return found


async def _get(client: Client, catalogue: Catalogue, key: Key) -> tuple[Resource, Object]:
    resource = catalogue.of_kind(key.group, key.kind)
    if resource is None:
        raise NervError(f"this cluster serves no kind {key.kind} of {key.group}")
    found = await client.get(resource, key.name, key.namespace)
    return resource, {**found, "apiVersion": resource.api_version, "kind": resource.kind}


async def _ask(client: Client, resource: Resource, obj: Object, request: Request, say: Say) -> str:
    if (obj.get("spec") or {}).get("type") == "oci":
        return "an OCI HelmRepository is a name alone; its charts are fetched by HelmChart"
    token = objects.micro_timestamp(datetime.now(UTC))
    annotations = {REQUESTED_AT: token}
    if objects.kind(obj) == "HelmRelease":
        annotations |= {FORCE_AT: token} if request.force else {}
        annotations |= {RESET_AT: token} if request.reset else {}
    elif request.force or request.reset:
        raise NervError(f"{reference.shown(obj)} is no HelmRelease", "leave out --force and --reset")
    patch = {"metadata": {"annotations": annotations}}
    await client.patch(resource, objects.name(obj), objects.namespace(obj), patch)
    if not request.wait:
        return "asked for"
    done = await waiting.until(
        client,
        resource,
        obj,
        lambda found: answered(found, token),
        timeout=request.timeout,
        say=say,
        what="the reconciliation",
    )
    return outcome(done)


def answered(obj: Object, token: str) -> bool:
    """Whether the controller has done what `token` asked for, well or not."""
    return (obj.get("status") or {}).get("lastHandledReconcileAt") == token and settled(obj)


def settled(obj: Object) -> bool:
    """Whether the newest generation has an outcome and nothing goes on. A failure that is retried is one too."""
    ready = objects.condition(obj, "Ready") or {}
    going = objects.condition(obj, "Reconciling") or {}
    return (
        ready.get("status") in ("True", "False")
        and ready.get("observedGeneration", 0) >= objects.generation(obj)
        and going.get("reason") != "Progressing"
    )


def outcome(obj: Object) -> str:
    """The message of Ready. Raises NervError when it is not True."""
    ready = objects.condition(obj, "Ready") or {}
    message = str(ready.get("message", ""))
    if ready.get("status") != "True":
        raise NervError(
            f"{reference.shown(obj)}: {ready.get('reason', '')}: {message}", f"`nerv why {reference.shown(obj)}`"
        )
    return message


async def suspend(client: Client, resource: Resource, obj: Object, *, suspended: bool) -> bool:
    """Stop Flux from touching an object, or let it again. False when it was so already."""
    require_flux(resource)
    if bool((obj.get("spec") or {}).get("suspend")) == suspended:
        return False
    patch = {"spec": {"suspend": suspended}}
    await client.patch(resource, objects.name(obj), objects.namespace(obj), patch)
    return True


async def resumed(client: Client, resource: Resource, obj: Object, timeout: float, say: Say) -> str:
    """Wait for the first outcome after a resume. Raises NervError when it failed."""
    newest = await client.get(resource, objects.name(obj), objects.namespace(obj))
    generation = objects.generation(newest)
    done = await waiting.until(
        client,
        resource,
        obj,
        lambda found: objects.generation(found) >= generation and settled(found),
        timeout=timeout,
        say=say,
        what="the reconciliation",
    )
    return outcome({**done, "kind": resource.kind})


def together(catalogue: Catalogue, word: str | None) -> Iterator[Resource]:
    """The kinds that `--all` means. Raises NervError for one that Flux does not reconcile."""
    if word:
        resource = catalogue.require(word)
        require_flux(resource)
        yield resource
        return
    for each in SUSPENDED_TOGETHER:
        served = catalogue.of_kind(each.group, each.kind)
        if served:
            yield served
