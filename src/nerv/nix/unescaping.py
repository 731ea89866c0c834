"""What the text between a string's quotes means: escapes, and the indentation that is no part of an indented string."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(.)|\r\n?", re.DOTALL)
# The pieces of an indented string: text, an escape, or a lone sign that begins neither an escape nor an interpolation.
_PIECE = re.compile(
    r"(?P<text>(?:[^$']|\$[^{']|'[^'$])+)|''\\(?P<escaped>.)|(?P<quotes>''')|''\$|(?P<lone>[$'])", re.DOTALL
)

T = TypeVar("T")


def unescape(content: str) -> str:
    """The text of a string in double quotes."""
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]) if found[1] else "\n", content)


@dataclass(frozen=True)
class _Piece:
    text: str
    indents: bool
    """Whether spaces in it can be indentation: what an escape makes never is."""


def dedent(parts: Sequence[str | tuple[T]]) -> list[str | tuple[T]]:
    """The parts of an indented string: raw contents in, text out; interpolations (tuples of one) stay as they are."""
    pieces: list[_Piece | tuple[T]] = []
    for number, part in enumerate(parts):
        if isinstance(part, tuple):
            pieces.append(part)
            continue
        content = re.sub(r"\A *\n", "", part) if number == 0 else part
        pieces += map(_piece, _PIECE.finditer(content))
    return joined(_stripped(pieces, _indentation(pieces)))


def _piece(found: re.Match[str]) -> _Piece:
    if found["text"] is not None:
        return _Piece(found["text"], True)
    if found["escaped"] is not None:
        return _Piece(_ESCAPED.get(found["escaped"], found["escaped"]), False)
    if found["quotes"] is not None:
        return _Piece("''", False)
    return _Piece(found["lone"] or "$", False)


def _indentation(pieces: Iterable[_Piece | tuple[T]]) -> int:
    """Spaces that every line begins with; lines of spaces alone do not count."""
    least, current, starting = 1_000_000, 0, True
    for piece in pieces:
        if isinstance(piece, tuple) or not piece.indents:
            if starting:
                starting, least = False, min(least, current)
            continue
        for character in piece.text:
            if character == "\n":
                starting, current = True, 0
            elif starting and character == " ":
                current += 1
            elif starting:
                starting, least = False, min(least, current)
    return least


def _stripped(pieces: Sequence[_Piece | tuple[T]], indentation: int) -> list[str | tuple[T]]:
    made: list[str | tuple[T]] = []
    starting, dropped = True, 0
    for number, piece in enumerate(pieces):
        if isinstance(piece, tuple):
            starting, dropped = False, 0
            made.append(piece)
            continue
        kept: list[str] = []
        for character in piece.text:
            if starting and character == " ":
                dropped += 1
                if dropped <= indentation:
                    continue
            elif character == "\n":
                starting, dropped = True, 0
            else:
                starting, dropped = False, 0
            kept.append(character)
        text = "".join(kept)
        head, newline, last = text.rpartition("\n")
        made.append(head + newline if newline and number == len(pieces) - 1 and not last.strip(" ") else text)
    return made


def joined(parts: Iterable[str | tuple[T]]) -> list[str | tuple[T]]:
    """Neighbouring texts as one, empty ones left out."""
    made: list[str | tuple[T]] = []
    for part in parts:
        if isinstance(part, str) and made and isinstance(made[-1], str):
            made[-1] += part
        elif part != "":
            made.append(part)
    return made
