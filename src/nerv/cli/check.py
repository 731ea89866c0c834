"""`nerv check`: the offline proof of a platform."""

from __future__ import annotations

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.errors import ProblemsError
from nerv.operations import rendering


def check(context: typer.Context) -> None:
    """Check the definition and the repository: everything that is wrong at once, exit code 1 when anything is.

    What is right here but no state to install machines in, and what nobody can know offline, is told and changes
    no exit code; `nerv deploy` stops at the former.
    """
    settings: Context = context.obj
    findings = rendering.check(settings.platform())
    for finding in findings:
        if finding.severity != "error":
            output.say(f"{_LABELS[finding.severity]}: {finding}")
    problems = [finding for finding in findings if finding.severity == "error"]
    if problems:
        raise ProblemsError(problems)
    output.talk().print("nothing is wrong")


_LABELS = {"undeployable": "before nerv deploy", "note": "note"}
