"""Output formats that every table shares: text for people, JSON and YAML for programs. Results go to stdout."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nerv import documents


class Format(enum.StrEnum):
    """`-o`"""

    text = "text"
    wide = "wide"
    name = "name"
    json = "json"
    yaml = "yaml"


def console() -> Console:
    """stdout for people: colours only on a terminal, never wrapped where it is read by a program."""
    interactive = sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=not interactive, width=None if interactive else 200)


def talk() -> Console:
    """stderr: progress and remarks."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def say(line: str) -> None:
    """A remark on stderr, as it is."""
    talk().print(line, markup=False, soft_wrap=True)


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


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of one line for each row, never folded, so that `grep` and `awk` read it as well."""
    lines = [list(headers), *([cell.replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    out = console()
    for number, line in enumerate(lines):
        padded = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        text = Text("   ".join([*padded, line[-1]]), style="bold" if number == 0 else "")
        text.highlight_regex(r"\bTrue\b", "green")
        text.highlight_regex(r"\bFalse\b", "red")
        out.print(text, soft_wrap=True)


def as_list(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Objects as the `List` that kubectl prints and applies."""
    return {"apiVersion": "v1", "kind": "List", "items": list(found)}
