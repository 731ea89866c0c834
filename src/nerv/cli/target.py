"""The options that every verb which speaks to a cluster shares, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nerv.cli import output
from nerv.cli.context import Context
from nerv.cli.output import Format
from nerv.errors import NervError
from nerv.operations import target
from nerv.operations.target import Target

_PANEL = "Which cluster"

Kubeconfig: TypeAlias = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Another cluster's kubeconfig.", rich_help_panel=_PANEL),
]
KubeContext: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="A context of that kubeconfig, or of $KUBECONFIG or ~/.kube/config.",
        rich_help_panel=_PANEL,
    ),
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Only this namespace; without it all of them."),
]
Output: TypeAlias = Annotated[Format, typer.Option("-o", "--output", help="How the result is written.")]


def chosen(context: typer.Context, kubeconfig: Path | None, kube_context: str | None) -> Target:
    """The cluster that the options mean. Raises NervError when there is none, or more than one to choose from."""
    settings: Context = context.obj
    found = target.choose(kubeconfig, kube_context, settings.directory)
    if found.folder and not found.engine:
        # the same words mean another cluster than a minute ago, when it still ran here: never without saying so
        output.say(f"{found.folder.root} does not run here; this is the cluster at {found.server}")
    return found


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A duration as `90s`, `5m`, `1h` or a plain number of seconds. Raises NervError for anything else."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    try:
        found = float(number) * _UNITS[unit]
    except ValueError:
        raise NervError(f"{text!r} is no duration", "for example 90s, 5m or 1h") from None
    if not 0 < found < 1e6:
        raise NervError(f"{text!r} is no duration to wait for", "for example 90s, 5m or 1h")
    return found
