"""`nerv fidelity`: how true the embedded engine is to the real control plane."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape

from nerv.cli import output
from nerv.cli.context import Context
from nerv.cli.output import Format
from nerv.operations import session
from nerv.operations.fidelity import measuring, report
from nerv.operations.fidelity.measuring import Measured
from nerv.operations.target import Target


def fidelity(
    context: typer.Context,
    flux: Annotated[
        bool,
        typer.Option("--flux", help="Flux too, on the running platform: adds a commit with parity/."),
    ] = False,
    form: Annotated[Format, typer.Option("-o", "--output", help="text, json or yaml.")] = Format.text,
) -> None:
    """Ask the embedded engine what the real control plane was asked, and count the answers that are the same."""
    settings: Context = context.obj
    measured = asyncio.run(_measure(settings, flux=flux))
    if form is Format.text:
        _print(measured)
    else:
        output.print_data([_data(each) for each in measured], form)
    if not all(each.fine for each in measured):
        raise typer.Exit(1)


async def _measure(settings: Context, *, flux: bool) -> list[Measured]:
    platform = settings.platform() if flux else None
    if platform:
        measuring.require_embedded(platform)
    measured = [await measuring.api()]
    if platform:
        async with session.connect(Target(platform.kubeconfig)) as client:
            measured.append(await measuring.flux_of(platform, client))
    return measured


def _print(measured: Sequence[Measured]) -> None:
    console = output.console()
    figures = [figure for each in measured for figure in report.figures(each.results)]
    rows = [[f.area, str(f.cases), str(f.same), str(f.gaps), str(f.other_version)] for f in figures]
    rows.append(["all", *(str(sum(int(row[place]) for row in rows)) for place in range(1, 5))])
    console.print(output.table(["AREA", "CASES", "SAME", "GAPS", "OTHER VERSION"], rows))
    for each in measured:
        programs = ", ".join(f"{name} {version}" for name, version in each.recording.versions.items())
        console.print(f"\nrecorded {each.recording.date} from {programs}", markup=False)
    console.print()
    for result in (result for each in measured for result in each.results):
        why = result.case.gap or result.case.other_version
        if why:
            console.print(f"{result.verdict}: {escape(result.case.identity)}: {escape(why)}")
        if not result.fine:
            console.print(f"[red]{result.verdict}[/]: {escape(result.case.identity)}")
            for difference in result.differences:
                console.print(f"  {difference}", markup=False)


def _data(measured: Measured) -> dict[str, Any]:
    return {
        "recorded": measured.recording.date,
        "versions": dict(measured.recording.versions),
        "areas": [dataclasses.asdict(figure) for figure in report.figures(measured.results)],
        "cases": [
            {
                "area": result.case.area,
                "name": result.case.name,
                "verdict": result.verdict,
                "reason": result.case.gap or result.case.other_version,
                "differences": [] if result.verdict == "same" else list(result.differences),
            }
            for result in measured.results
        ],
    }
