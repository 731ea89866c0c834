"""`nerv init`: a new platform's folder, complete and committed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.operations import scaffold


def init(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="The folder to make; without it -C DIR or this one.")] = None,
) -> None:
    """Make a platform: definition, rendered files, keys, encrypted secrets, Git repository with a first commit.

    A folder that has a nerv.yaml keeps it; only what is missing beside it is made.
    """
    settings: Context = context.obj
    root = folder or settings.directory or Path()
    told: list[str] = []

    def say(line: str) -> None:
        told.append(line)
        output.talk().print(line, soft_wrap=True, markup=False)

    made = asyncio.run(scaffold.create(root, say=say))
    if not told:
        output.talk().print(f"{made.root} is a platform already; nothing to do", soft_wrap=True, markup=False)
