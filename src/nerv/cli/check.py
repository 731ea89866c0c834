"""`nerv check`: the offline proof of a platform."""

from __future__ import annotations

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.errors import ProblemsError
from nerv.operations import rendering


def check(context: typer.Context) -> None:
    """Check the definition and the repository: everything that is wrong at once, exit code 1 when anything is."""
    settings: Context = context.obj
    folder = settings.platform()
    problems = rendering.check(folder)
    if problems:
        raise ProblemsError(problems)
    output.talk().print("nothing is wrong")
