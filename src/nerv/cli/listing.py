"""`nerv list`: the platforms that run on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.output import Format
from nerv.operations import folder


def list_platforms(
    form: Annotated[Format, typer.Option("-o", "--output", help="text, json or yaml.")] = Format.text,
) -> None:
    """List the platforms of this user that run now."""
    found = list(folder.running_platforms())
    if form is not Format.text:
        rows = [{"name": p.name, "engine": p.engine, "pid": p.pid, "folder": str(p.folder.root)} for p in found]
        output.print_data(rows, form)
    elif found:
        rows_text = [[p.name, p.engine, str(p.pid), str(p.folder.root)] for p in found]
        output.console().print(output.table(["NAME", "ENGINE", "PID", "FOLDER"], rows_text))
    else:
        output.talk().print("no platform runs")
