"""`nerv render` and `nerv eject`: the repository as its definition says, and files that leave NERV's care."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.operations import rendering


def render(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 and a list when something differs.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Discard edits made by hand in generated files.")] = False,
) -> int:
    """Render the repository from nerv.yaml."""
    settings: Context = context.obj
    folder = settings.platform()
    if check:
        lines = rendering.differences(folder)
        for line in lines:
            print(line)
        return 1 if lines else 0
    done = asyncio.run(rendering.render(folder, force=force))
    for path in sorted({*done.written, *done.encrypted}):
        print(f"wrote {path}")
    for path in sorted(done.removed):
        print(f"removed {path}")
    if done.unchanged:
        output.talk().print("everything is as the definition says")
    sys.stdout.flush()
    return 0


def eject(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A generated file, by its path in the repository.")],
    undo: Annotated[bool, typer.Option("--undo", help="Give the file back: the next render writes over it.")] = False,
) -> None:
    """Own a generated file: `nerv render` leaves it alone from now on."""
    settings: Context = context.obj
    folder = settings.platform()
    changed = rendering.adopt(folder, file) if undo else rendering.eject(folder, file)
    owner = "NERV's" if undo else "yours"
    output.talk().print(f"{file} is {owner}{' now' if changed else ' already'}", soft_wrap=True, markup=False)
