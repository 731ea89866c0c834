"""`nerv reconcile`, `nerv suspend`, `nerv resume`: Flux asked for work, held, and let go again."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.target import Kubeconfig, KubeContext, Namespace, chosen, seconds
from nerv.errors import NervError
from nerv.kube import catalogue as catalogues
from nerv.kube.catalogue import Catalogue
from nerv.kube.client import Client
from nerv.kube.objects import Object
from nerv.kube.resources import Resource
from nerv.operations import reconcile as work
from nerv.operations import reference, session
from nerv.operations.reconcile import Request
from nerv.operations.reference import Reference
from nerv.operations.target import Target

_OBJECT = "KIND/NAME, or KIND/NAMESPACE/NAME as NERV prints objects; several are done one after the other."
_Timeout = Annotated[str, typer.Option(help="How long to wait, such as 90s or 5m.")]
_Every = Annotated[bool, typer.Option("--all", help="All Kustomizations and HelmReleases; with KIND all of that kind.")]
_Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the outcome and tell it.")]


def reconcile(
    context: typer.Context,
    about: Annotated[list[str], typer.Argument(metavar="KIND/NAME...", help=_OBJECT)],
    with_source: Annotated[bool, typer.Option("--with-source", help="Fetch its source first.")] = False,
    force: Annotated[bool, typer.Option("--force", help="HelmRelease: upgrade although nothing changed.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="HelmRelease: forget failures, so retries begin anew.")
    ] = False,
    wait: _Wait = True,
    timeout: _Timeout = "5m",
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Let Flux look at an object now instead of at its next interval."""
    written = [Reference.parse(text, namespace) for text in about]
    request = Request(with_source, wait, seconds(timeout), force, reset)
    asyncio.run(_reconcile(chosen(context, kubeconfig, kube_context), written, request))


async def _reconcile(target: Target, written: list[Reference], request: Request) -> None:
    async with session.connect(target) as client:
        catalogue = await catalogues.read(client)
        for each in written:
            resource, obj = await reference.find(client, catalogue, each)
            told = await work.reconcile(client, catalogue, resource, obj, request, output.say)
            print(f"{reference.shown(obj)}: {told}")


def suspend(
    context: typer.Context,
    about: Annotated[list[str] | None, typer.Argument(metavar="KIND/NAME...", help=_OBJECT)] = None,
    every: _Every = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Hold objects of Flux: what is in the cluster stays as it is, whatever changes in Git, until they are resumed."""
    target = chosen(context, kubeconfig, kube_context)
    asyncio.run(_suspend(target, about or [], namespace, every=every))


async def _suspend(target: Target, about: list[str], namespace: str | None, *, every: bool) -> None:
    async with session.connect(target) as client:
        for resource, obj in await _chosen(client, about, namespace, every=every):
            changed = await work.suspend(client, resource, obj, suspended=True)
            print(f"{reference.shown(obj)}: {'suspended' if changed else 'is suspended already'}")


def resume(
    context: typer.Context,
    about: Annotated[list[str] | None, typer.Argument(metavar="KIND/NAME...", help=_OBJECT)] = None,
    every: _Every = False,
    wait: _Wait = True,
    timeout: _Timeout = "5m",
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Let Flux work on suspended objects again, and tell how the first reconciliation went."""
    target = chosen(context, kubeconfig, kube_context)
    patience = seconds(timeout) if wait else None
    asyncio.run(_resume(target, about or [], namespace, patience, every=every))


async def _resume(
    target: Target, about: list[str], namespace: str | None, patience: float | None, *, every: bool
) -> None:
    async with session.connect(target) as client:
        found = await _chosen(client, about, namespace, every=every)
        # all first, then wait: what depends on another one could not become ready otherwise
        changed = [(each, await work.suspend(client, *each, suspended=False)) for each in found]
        failed: list[str] = []
        for (resource, obj), was_suspended in changed:
            if not was_suspended:
                print(f"{reference.shown(obj)}: is not suspended")
            elif patience is None:
                print(f"{reference.shown(obj)}: resumed")
            else:
                failed += await _tell_outcome(client, resource, obj, patience)
    if failed:
        raise NervError("; ".join(failed))


async def _tell_outcome(client: Client, resource: Resource, obj: Object, patience: float) -> list[str]:
    try:
        told = await work.resumed(client, resource, obj, patience, output.say)
    except NervError as error:
        return error.lines()
    print(f"{reference.shown(obj)}: resumed, {told}")
    return []


async def _chosen(
    client: Client, about: list[str], namespace: str | None, *, every: bool
) -> list[tuple[Resource, Object]]:
    """The objects of the arguments, or all of a kind with `--all`. Raises NervError for neither, or for both."""
    catalogue = await catalogues.read(client)
    if not every:
        if not about:
            raise NervError("nothing is named", "write KIND/NAME, or --all")
        return [await reference.find(client, catalogue, Reference.parse(text, namespace)) for text in about]
    if len(about) > 1 or any("/" in text for text in about):
        raise NervError("--all takes one KIND at most", "for example `nerv suspend ks --all`")
    return await _all(client, catalogue, about[0] if about else None, namespace)


async def _all(
    client: Client, catalogue: Catalogue, word: str | None, namespace: str | None
) -> list[tuple[Resource, Object]]:
    found = []
    for resource in work.together(catalogue, word):
        listed = await client.list(resource, namespace)
        found += [(resource, obj) for obj in listed.items]
    if not found:
        raise NervError("there is nothing of that kind" + (f" in namespace {namespace}" if namespace else ""))
    return found
