"""What a bootstrap tells while it goes: what is there already, and what it changes (or, on a dry run, would change)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Journal:
    """`tell` shows a line to people; `changes` are those that were made, or would be."""

    tell: Callable[[str], object] = lambda _: None
    dry_run: bool = False
    changes: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Something that is so and needs nothing done."""
        self.tell(line)

    def change(self, what: str) -> bool:
        """Tell of a change that is about to be made. Returns whether to make it."""
        self.changes.append(what)
        self.tell(f"would {what}" if self.dry_run else what)
        return not self.dry_run
