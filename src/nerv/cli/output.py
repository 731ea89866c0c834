"""Output formats that every table shares: text for people, JSON and YAML for programs. Results go to stdout."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from nerv import documents


class Format(enum.StrEnum):
    """`-o`"""

    text = "text"
    json = "json"
    yaml = "yaml"


def console() -> Console:
    """stdout for people: colours only on a terminal, never wrapped where it is read by a program."""
    interactive = sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=not interactive, width=None if interactive else 200)


def talk() -> Console:
    """stderr: progress and remarks."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def print_data(value: Any, form: Format) -> None:
    """Write `value` as JSON or YAML."""
    if form is Format.json:
        sys.stdout.write(documents.dump_json(value, indent=True).decode() + "\n")
    else:
        sys.stdout.write(documents.dump(documents.load_json(documents.dump_json(value))))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table as kubectl prints it."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
