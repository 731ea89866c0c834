"""Domain errors: one clear line each, with a place and a remedy where there is one.

    NervError
    ├── ProblemsError        the definition or a rendered tree is wrong; carries every problem at once
    └── ProcessError         a child process failed; its command can be pasted into a shell

Kubernetes API errors live in `nerv.kube.errors`; they carry the API's own Status. Nothing here does I/O.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override


class NervError(Exception):
    """A failure that the user can act on. `message` is one line, `hint` says the way out."""

    def __init__(self, message: str, hint: str = "", *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def lines(self) -> list[str]:
        """The text shown to the user, without colours."""
        return [f"{self.message} ({self.hint})" if self.hint else self.message]


Severity = Literal["error", "undeployable", "note"]
"""error: wrong; undeployable: right here, but no machine may be installed so; note: nobody could know whether it is."""


@dataclass(frozen=True, order=True)
class Problem:
    """One finding in a file. Lines and columns count from 1; 0 means that the place is the whole file."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: Severity = "error"

    @override
    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message} ({self.hint})" if self.hint else f"{place}: {self.message}"


class ProblemsError(NervError):
    """Everything that is wrong with a definition or a tree, sorted by place."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems))
        count = len(self.problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} found")

    @override
    def lines(self) -> list[str]:
        return [*(str(problem) for problem in self.problems), self.message]


class ProcessError(NervError):
    """A child process ended with a failure. `output` is its standard error (or output), already without secrets."""

    def __init__(self, command: list[str], code: int, output: str) -> None:
        self.command = command
        self.code = code
        self.output = output.strip()
        last = self.output.splitlines()[-1] if self.output else "no output"
        super().__init__(f"`{shlex.join(command)}` failed with exit code {code}: {last}")
