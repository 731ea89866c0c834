"""POSIX extended regular expressions, as builtins.match and option types write them, in Python's."""

from __future__ import annotations

import functools
import re

from nerv.nix.values import EvaluationError

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
_BRACKET = re.compile(r"\[(\^?)(\]?)((?:\[:\w+:\]|[^\]])*)\]")


@functools.lru_cache(512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern for Python. Raises EvaluationError where it is wrong."""
    try:
        return re.compile(_BRACKET.sub(_bracket, pattern), re.DOTALL)
    except re.error as error:
        raise EvaluationError(f"`{pattern}` is not a regular expression: {error.msg}") from None


def _bracket(found: re.Match[str]) -> str:
    inner = found[3].replace("\\", "\\\\")
    inner = re.sub(r"\[:(\w+):\]", lambda name: _CLASSES.get(name[1], name[0]), inner)
    # what is left of `[` stands for itself
    inner = re.sub(r"(?<!\\)\[", r"\\[", inner)
    first = r"\]" if found[2] else ""
    return f"[{found[1]}{first}{inner}]"
