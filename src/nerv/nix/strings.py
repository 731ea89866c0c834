"""Names and strings of Nix as they are written: what must be quoted, what must be escaped.

A string is given in pieces: a `str` is text as it is, a tuple of one str is an expression's text, to be interpolated.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Piece: TypeAlias = "str | tuple[str]"

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
KEYWORDS = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# a dollar begins an interpolation before a brace, and swallows one when it stands right before it
_DOLLAR = re.compile(r"\$(?=\{|\Z)")
_QUOTED = re.compile(r'[\\"\n\r\t]')
# two quotes end an indented string; a single one would join an escape that follows
_QUOTES = re.compile(r"''|'(?=[$\r]|\Z)")
_SPACES = re.compile(r" *\Z")


def quoted(pieces: tuple[Piece, ...]) -> str:
    """`"..."`"""
    return '"' + "".join(_interpolated(piece) or _escaped(_text(piece)) for piece in pieces) + '"'


def indented_line(pieces: tuple[Piece, ...]) -> str:
    """`''...''` in one line: newlines are written as escapes."""
    written = "".join(_interpolated(piece) or "''\\n".join(map(_doubled, _text(piece).split("\n"))) for piece in pieces)
    return f"''{_keep_spaces(written)}''"


def indented_lines(pieces: tuple[Piece, ...], indent: int) -> str:
    """`''`, a line for each line of the text, `''`.

    Nix takes the smallest indentation away from all lines, and drops a last line of spaces: text that begins with
    spaces of its own is protected by an escape.
    """
    lines = "".join(_interpolated(piece) or _doubled(_text(piece)) for piece in pieces).split("\n")
    told = [number for number, found in enumerate(lines) if not _SPACES.match(found)]
    spaces = [number for number, found in enumerate(lines) if found and number not in told]
    if told and all(lines[number].startswith(" ") for number in told):
        lines[told[0]] = _keep_spaces(lines[told[0]])
    elif not told and spaces:
        lines[spaces[0]] = _keep_spaces(lines[spaces[0]])
    lines[-1] = _keep_spaces(lines[-1]) if _SPACES.match(lines[-1]) else lines[-1]
    inner = " " * (indent + 2)
    body = "\n".join(inner + found if found else "" for found in lines)
    return f"''\n{body}''" if lines[-1] else f"''\n{body}{' ' * indent}''"


def _interpolated(piece: Piece) -> str:
    return f"${{{piece[0]}}}" if isinstance(piece, tuple) else ""


def _text(piece: Piece) -> str:
    assert isinstance(piece, str)
    if "\0" in piece:
        raise ValueError("a string of Nix cannot hold a zero byte")
    return piece


def _escaped(text: str) -> str:
    return _DOLLAR.sub(r"\\$", _QUOTED.sub(lambda found: _ESCAPES[found[0]], text))


def _doubled(text: str) -> str:
    quotes = _QUOTES.sub(lambda found: "'''" if len(found[0]) == 2 else "''\\'", text)
    return _DOLLAR.sub("''$", quotes).replace("\r", "''\\r")


def _keep_spaces(line: str) -> str:
    return f"''\\{line}" if line.startswith(" ") else line
