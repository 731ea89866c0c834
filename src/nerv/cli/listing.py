"""`nerv list`: the platforms that run on this machine."""

from __future__ import annotations

from nerv.cli import output
from nerv.cli.output import Format
from nerv.cli.target import Output
from nerv.operations import folder


def list_platforms(
    form: Output = Format.text,
) -> None:
    """List the platforms of this user that run now."""
    found = list(folder.running_platforms())
    if form is Format.name:
        for platform in found:
            print(platform.name)
    elif form in (Format.json, Format.yaml):
        rows = [{"name": p.name, "engine": p.engine, "pid": p.pid, "folder": str(p.folder.root)} for p in found]
        output.print_data(rows, form)
    elif found:
        rows_text = [[p.name, p.engine, str(p.pid), str(p.folder.root)] for p in found]
        output.console().print(output.table(["NAME", "ENGINE", "PID", "FOLDER"], rows_text))
    else:
        output.talk().print("no platform runs")
