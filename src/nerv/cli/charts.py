"""`nerv charts`: which archive each chart version is on this machine, and how that is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.cli.output import Format
from nerv.errors import NervError
from nerv.operations import charts as operations
from nerv.operations import folder as folders
from nerv.operations.charts import ChartRow
from nerv.operations.folder import PlatformFolder

charts = typer.Typer(
    help="Charts on this machine: resolved once, kept with their digest, changed only by `pull` and `use`.",
    no_args_is_help=True,
)
_ORIGINS = {"repository": "its repository", "folder": "a folder", "stand-in": "NERV's stand-in", "": "not resolved yet"}
_SHOWN_DIGITS = 12


@charts.command("list")
def list_charts(
    context: typer.Context,
    form: Annotated[Format, typer.Option("-o", "--output", help="text, json or yaml.")] = Format.text,
) -> None:
    """Show every chart version of the platform: where it came from, its digest, since when."""
    settings: Context = context.obj
    found = operations.rows(settings.platform())
    if form is Format.text:
        _show(found)
    else:
        output.print_data([asdict(row) for row in found], form)


@charts.command()
def pull(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Charts by name. Default: all.")] = None,
) -> None:
    """Fetch charts from their repositories, checked against the index, and use them from now on."""
    settings: Context = context.obj
    platform = settings.platform()
    _tell(platform, asyncio.run(operations.pull(platform, names or ())))


@charts.command()
def use(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Holds .tgz files or chart folders.")] = None,
    stand_ins: Annotated[bool, typer.Option("--stand-ins", help="NERV's own charts instead of a folder's.")] = False,
) -> None:
    """Use charts from a folder of this machine from now on."""
    settings: Context = context.obj
    platform = settings.platform()
    if (folder is None) != stand_ins:
        raise NervError("give a FOLDER, or --stand-ins", "`nerv charts use FOLDER`")
    if folder is None:
        _tell(platform, asyncio.run(operations.use_stand_ins(platform, ())))
        return
    found, unused = operations.use_folder(platform, folder)
    for line in unused:
        output.talk().print(line, markup=False)
    _tell(platform, found)


def _tell(platform: PlatformFolder, found: Sequence[ChartRow]) -> None:
    _show(found)
    running = folders.running_pid(platform) is not None
    then = "the running platform takes them up now" if running else "`nerv up` starts with them"
    output.talk().print(f"kept in {platform.state / 'charts'}; {then}", markup=False, soft_wrap=True)


def _show(found: Sequence[ChartRow]) -> None:
    lines = [[r.name, r.version, _ORIGINS[r.origin], r.digest[:_SHOWN_DIGITS], r.date] for r in found]
    output.console().print(output.table(["NAME", "VERSION", "FROM", "DIGEST", "SINCE"], lines))
