"""`nerv wait`: come back when something is ready; for scripts."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.target import Kubeconfig, KubeContext, Namespace, chosen, seconds
from nerv.kube import catalogue as catalogues
from nerv.operations import reference, session, tree, waiting
from nerv.operations.reference import Reference
from nerv.operations.target import Target


def wait(
    context: typer.Context,
    about: Annotated[
        list[str] | None,
        typer.Argument(metavar="KIND/NAME...", help="Objects; without any the whole platform."),
    ] = None,
    timeout: Annotated[str, typer.Option(help="How long, such as 90s or 10m.")] = "5m",
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> None:
    """Wait until objects, or everything, is ready; it tells what it waits for, and names it when the time is over."""
    target = chosen(context, kubeconfig, kube_context)
    written = [Reference.parse(text, namespace) for text in about or ()]
    asyncio.run(_wait(target, written, seconds(timeout)))


async def _wait(target: Target, written: list[Reference], patience: float) -> None:
    async with session.connect(target) as client:
        if not written:
            read = partial(session.status_by, client, target)
            await waiting.healthy(client, read, timeout=patience, say=output.say)
            print("everything is ready")
            return
        catalogue = await catalogues.read(client)
        for each in written:
            resource, obj = await reference.find(client, catalogue, each)
            await waiting.until(
                client,
                resource,
                obj,
                lambda found: tree.level_of(found)[0] == "Current",
                timeout=patience,
                say=output.say,
                what="readiness",
                word=lambda found: tree.level_of(found)[1],
            )
            print(f"{reference.shown(obj)} is ready")
