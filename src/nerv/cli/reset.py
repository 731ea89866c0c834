"""`nerv reset`: forget this machine's state of a platform; repository and operator keys stay."""

from __future__ import annotations

from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.operations import stop


def reset(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the platform and delete `.nerv/`: the cluster's objects, volumes' data and certificates of this machine."""
    settings: Context = context.obj
    folder = settings.platform()
    if not yes:
        typer.confirm(f"Delete the cluster's state in {folder.state}, volumes' data included?", abort=True, err=True)
    stop.stop(folder)
    stop.forget(folder)
    output.talk().print(f"deleted {folder.state}; the repository and the keys are as they were")
