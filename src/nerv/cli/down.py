"""`nerv down`: stop a platform that runs; everything it keeps stays."""

from __future__ import annotations

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.operations import stop


def down(context: typer.Context) -> None:
    """Stop the running platform and wait until all of its processes are gone."""
    settings: Context = context.obj
    folder = settings.platform()
    pid = stop.stop(folder)
    output.talk().print(f"stopped {folder.root} (pid {pid})" if pid else f"{folder.root} does not run")
