"""Where findings about one repository's hosts are gathered."""

from __future__ import annotations

from nerv.checks.nixos.definitions import Definition
from nerv.errors import Problem, Severity
from nerv.nix.coercion import ROOT
from nerv.nix.values import EvaluationError, NotModelled, Place


class Report:
    """Findings, each once. Paths of the repository's copy in the store are shown as they are in the repository."""

    def __init__(self) -> None:
        self.found: dict[Problem, None] = {}

    def say(self, file: str, place: Place | None, message: str, hint: str = "", severity: Severity = "error") -> None:
        """Note a finding."""
        line, column = 0, 0
        if place:
            source, offset = place
            file, (line, column) = source.file, source.text.place(offset)
        shown = message.replace(f"{ROOT}/", "")
        self.found[Problem(file, line, column, shown, hint, severity)] = None

    def about(self, definition: Definition, message: str, hint: str = "", severity: Severity = "error") -> None:
        """Note a finding about a definition."""
        self.say(definition.file, definition.place, message, hint, severity)

    def failed(self, error: EvaluationError, file: str, place: Place | None = None, what: str = "") -> None:
        """Note that something could not be evaluated: Nix fails too, or nothing is known."""
        where = error.place or place
        if isinstance(error, NotModelled):
            self.say(file, where, f"not evaluated: {error.message}", what, "note")
        else:
            self.say(file, where, error.message, what)
