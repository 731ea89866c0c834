"""`nerv fidelity`: how true the embedded engine is to the real control plane."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated, Any

import typer
from rich.markup import escape

from nerv.cli import output
from nerv.cli.output import Format
from nerv.operations.fidelity import measuring, report
from nerv.operations.fidelity.recordings import Recording
from nerv.operations.fidelity.report import Result


def fidelity(
    form: Annotated[Format, typer.Option("-o", "--output", help="text, json or yaml.")] = Format.text,
) -> None:
    """Ask the embedded engine what the real control plane was asked, and count the answers that are the same."""
    recording, results = asyncio.run(measuring.measure())
    if form is Format.text:
        _print(recording, results)
    else:
        output.print_data(_data(recording, results), form)
    if not all(result.fine for result in results):
        raise typer.Exit(1)


def _print(recording: Recording, results: tuple[Result, ...]) -> None:
    console = output.console()
    figures = report.figures(results)
    rows = [[f.area, str(f.cases), str(f.same), str(f.gaps), str(f.other_version)] for f in figures]
    rows.append(["all", *(str(sum(int(row[place]) for row in rows)) for place in range(1, 5))])
    console.print(output.table(["AREA", "CASES", "SAME", "GAPS", "OTHER VERSION"], rows))
    programs = ", ".join(f"{name} {version}" for name, version in recording.versions.items())
    console.print(f"\nrecorded {recording.date} from {programs}\n", markup=False)
    for result in results:
        why = result.case.gap or result.case.other_version
        if why:
            console.print(f"{result.verdict}: {escape(result.case.identity)}: {escape(why)}")
        if not result.fine:
            console.print(f"[red]{result.verdict}[/]: {escape(result.case.identity)}")
            for difference in result.differences:
                console.print(f"  {difference}", markup=False)


def _data(recording: Recording, results: tuple[Result, ...]) -> dict[str, Any]:
    return {
        "recorded": recording.date,
        "versions": dict(recording.versions),
        "areas": [dataclasses.asdict(figure) for figure in report.figures(results)],
        "cases": [
            {
                "area": result.case.area,
                "name": result.case.name,
                "verdict": result.verdict,
                "reason": result.case.gap or result.case.other_version,
                "differences": [] if result.verdict == "same" else list(result.differences),
            }
            for result in results
        ],
    }
