"""A Nix file that was read: its expression, and where everything in it stands."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from nerv.errors import Problem
from nerv.nix.expressions import Expression


class Text:
    """Offsets in UTF-8 (as the parser counts) to lines and columns, both from 1."""

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        self._starts = [0]
        self._starts += (at + 1 for at, byte in enumerate(self._bytes) if byte == 10)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column."""
        line = bisect.bisect_right(self._starts, offset)
        return line, len(self._bytes[self._starts[line - 1] : offset].decode(errors="replace")) + 1

    @property
    def end(self) -> int:
        """Offset behind the last character that is no white space: where what is missing would stand."""
        return len(self._bytes.rstrip())


@dataclass
class Source:
    """An expression and where its parts stand.

    Places are kept by identity beside the expression, because equal expressions stand in many places and a place is
    no part of what they mean. The expression is held here, so that identities stay true.
    """

    file: str
    text: Text
    expression: Expression = None
    offsets: dict[int, int] = field(default_factory=dict)
    names: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Where each name of a Binding or Inherit stands."""
    made: list[Expression] = field(default_factory=list)
    """Expressions that stand in for others (names of an `inherit`), with places of their own."""

    def place(self, node: object) -> tuple[int, int]:
        """Line and column of a part of the expression; (0, 0) for one that has no place of its own."""
        offset = self.offsets.get(id(node))
        return (0, 0) if offset is None else self.text.place(offset)

    def problem(self, offset: int, message: str, hint: str = "") -> Problem:
        """A problem at an offset."""
        return Problem(self.file, *self.text.place(offset), message, hint)
