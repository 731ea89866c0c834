"""`nerv why`: from what does not work to what is the matter."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.output import Format
from nerv.cli.target import Kubeconfig, KubeContext, Namespace, Output, chosen
from nerv.kube import catalogue as catalogues
from nerv.operations import reference, session
from nerv.operations import why as asking
from nerv.operations.reference import Reference
from nerv.operations.target import Target
from nerv.operations.tree import Key
from nerv.operations.why import Finding

_SHOWN = 6


def why(
    context: typer.Context,
    about: Annotated[
        str | None, typer.Argument(metavar="KIND/NAME", help="One object; without it everything that is not ready.")
    ] = None,
    namespace: Namespace = None,
    form: Output = Format.text,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
) -> int:
    """Find the cause of what is not ready, and say what to do about it; exit code 0 when nothing is wrong."""
    written = Reference.parse(about, namespace) if about else None
    found, refused = asyncio.run(_ask(chosen(context, kubeconfig, kube_context), written))
    if form in (Format.json, Format.yaml):
        output.print_data([each.to_dict() for each in found], form)
    elif form is Format.name:
        for each in found:
            print(each.cause.object)
    else:
        for number, each in enumerate(found):
            _show(each, first=number == 0, wide=form is Format.wide)
        if not found:
            print("nothing is wrong" + (f" with {about}" if about else ""))
    for line in refused:
        output.say(f"not readable, so the cause may stand there: {line}")
    return 1 if found or refused else 0


async def _ask(target: Target, written: Reference | None) -> tuple[list[Finding], tuple[str, ...]]:
    async with session.connect(target) as client:
        catalogue = await catalogues.read(client)
        facts, refused = await asking.read(client, catalogue)
        if written is None:
            return asking.findings(facts), refused
        _, obj = await reference.find(client, catalogue, written)
        found = asking.explain(Key.of(obj), facts.including(obj))
        return [found] if found else [], refused


def _show(found: Finding, *, first: bool, wide: bool) -> None:
    out = output.console()
    if not first:
        out.print("")
    for depth, link in enumerate(found.chain):
        last = depth == len(found.chain) - 1
        bend = "   " * (depth - 1) + "└─ " if depth else ""
        mark = "[red]✗[/]" if last else "[yellow]○[/]"
        out.print(f"{bend}{mark} [bold]{link.object}[/]", end="", soft_wrap=True)
        out.print(f"  {link.says}", markup=False, soft_wrap=True)
    out.print("[bold]Cause[/]   ", end="")
    out.print(f"{found.cause.object}: {found.cause.says}", markup=False, soft_wrap=True)
    out.print("[bold]Remedy[/]  ", end="")
    out.print(found.remedy, markup=False, soft_wrap=True)
    if found.held:
        shown = found.held if wide else found.held[:_SHOWN]
        more = f" and {len(found.held) - len(shown)} more" if len(found.held) > len(shown) else ""
        out.print("[bold]Holds[/]   ", end="")
        out.print(f"{', '.join(shown)}{more}", markup=False, soft_wrap=True)
