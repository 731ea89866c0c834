"""`nerv logs`: what pods have written."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.target import Kubeconfig, KubeContext, Namespace, chosen, seconds
from nerv.kube import catalogue as catalogues
from nerv.operations import podlogs, reference, session
from nerv.operations.podlogs import Wanted
from nerv.operations.reference import Reference
from nerv.operations.target import Target


def logs(
    context: typer.Context,
    about: Annotated[
        str,
        typer.Argument(metavar="POD|KIND/NAME", help="A pod, or anything that has pods: a workload, a HelmRelease."),
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and show every new line.")] = False,
    container: Annotated[str, typer.Option("--container", "-c", help="A container; without it the main one.")] = "",
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the run before, after a crash.")] = False,
    tail: Annotated[int, typer.Option(help="Only so many last lines; -1 for all.")] = -1,
    since: Annotated[str, typer.Option(help="Only what is younger, such as 5m.")] = "",
    timestamps: Annotated[bool, typer.Option("--timestamps", help="With the time of each line.")] = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> int:
    """Show what pods have written; of several pods each line is headed by its pod."""
    written = Reference.parse(about if "/" in about else f"pod/{about}", namespace)
    young = int(seconds(since)) if since else 0
    wanted = Wanted(container, follow, previous, tail, young, timestamps)
    return asyncio.run(_show(chosen(context, kubeconfig, kube_context), written, wanted))


async def _show(target: Target, written: Reference, wanted: Wanted) -> int:
    async with session.connect(target) as client:
        catalogue = await catalogues.read(client)
        _, obj = await reference.find(client, catalogue, written)
        pods = await podlogs.pods_of(client, catalogue, obj)
        refused = await podlogs.show(client, pods, wanted, _write)
        for line in refused:
            output.say(f"nerv: {line}")
        return 1 if refused else 0


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
