"""`nerv upgrade`: every pin and what it can become; raises one at a time, in the order that Kubernetes asks for."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.operations import rendering, upgrading


def upgrade(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="kubernetes, nixos or a chart; without it all are shown.")] = "",
    to: Annotated[str, typer.Option("--to", help="The version; without it the next one.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; change nothing.")] = False,
    form: Annotated[output.Format, typer.Option("-o", "--output", help="text, json or yaml.")] = output.Format.text,
) -> None:
    """Show the versions in use and the ones that this NERV knows, or raise one of them in nerv.yaml."""
    settings: Context = context.obj
    folder = settings.platform()
    if not what:
        pins = asyncio.run(upgrading.pins(folder))
        if form is not output.Format.text:
            output.print_data([pin.to_dict() for pin in pins], form)
            return
        rows = [[pin.name, pin.defined, pin.running or "-", pin.note] for pin in pins]
        output.console().print(output.table(["WHAT", "DEFINED", "RUNNING", ""], rows))
        return
    plan = asyncio.run(upgrading.plan(folder, what, to))
    for line in plan.lines():
        print(line)
    if dry_run:
        return
    for path in asyncio.run(rendering.redefine(folder, plan.text)):
        print(f"wrote {path}")
