"""`nerv engine`: the engines of this machine, and the programs of the upstream one."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from nerv.cli import output
from nerv.cli.output import Format
from nerv.engines.upstream.building import Step
from nerv.operations import engines

engine = typer.Typer(help="What provides the Kubernetes API on this machine.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="upstream", metavar="ENGINE")]
_Form = Annotated[Format, typer.Option("-o", "--output", help="text, json or yaml.")]


@engine.command("list")
def list_engines(form: _Form = Format.text) -> None:
    """List the engines and whether they can run here."""
    found = engines.overview()
    if form is not Format.text:
        output.print_data([dataclasses.asdict(state) for state in found], form)
        return
    rows = [[s.name, "yes" if s.ready else "no", _size(s.size) if s.size else "", s.detail] for s in found]
    output.console().print(output.table(["ENGINE", "READY", "SIZE", "WHAT"], rows))


@engine.command()
def build(
    name: _Name,
    given: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Take programs that you have instead of building.")
    ] = None,
) -> None:
    """Build the engine's programs from their published Go modules, once; offline from then on."""
    make(name, given)


def make(name: str, given: Path | None = None) -> None:
    """Build or take an engine's programs and tell how it goes. Raises NervError."""
    talk = output.talk()

    def report(step: Step) -> None:
        place = f"[{step.number}/{step.count}] {step.source.program}"
        if step.built is None:
            talk.print(f"{place} ...", markup=False)
        else:
            took = f" in {step.built.seconds:.0f} s" if step.built.seconds else f" from {step.built.origin}"
            talk.print(f"{place} {step.built.version}: {_size(step.built.size)}{took}", markup=False)

    made = asyncio.run(engines.build(name, given, report, lambda text: talk.print(text, markup=False)))
    size = sum(each.size for each in made.read().values())
    talk.print(f"engine {name} is ready, {_size(size)} in {made.folder}", markup=False)


@engine.command()
def remove(name: _Name) -> None:
    """Delete the engine's programs, and what an unfinished build has left."""
    freed = engines.remove(name)
    text = f"removed, {_size(freed)} freed" if freed else "nothing was there"
    output.talk().print(f"engine {name}: {text}", markup=False)


@engine.command()
def versions(form: _Form = Format.text) -> None:
    """Show every program's version and origin, where it is not the one that is pinned, and what is damaged."""
    found = engines.program_versions()
    if form is not Format.text:
        output.print_data([dataclasses.asdict(row) for row in found], form)
        return
    rows = [
        [
            row.engine,
            row.program,
            row.version,
            f"{row.pinned} (another)" if row.differs else row.pinned,
            f"{row.sha256[:12]} (damaged)" if row.damaged else row.sha256[:12],
            f"{row.origin}, {row.toolchain}" if row.toolchain else row.origin,
        ]
        for row in found
    ]
    output.console().print(output.table(["ENGINE", "PROGRAM", "VERSION", "PINNED", "SHA256", "ORIGIN"], rows))
    if damaged := [row.program for row in found if row.damaged]:
        output.talk().print(f"damaged: {', '.join(damaged)}; {engines.REPAIR}", markup=False)


def _size(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
