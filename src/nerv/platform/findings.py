"""What a rule of the definition says when it is broken, before it is known where that stands in the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nerv.platform.source import Path

M = TypeVar("M")


@dataclass(frozen=True)
class Finding:
    """A broken rule. `path` leads to the value, by the keys of the file."""

    path: Path
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Rule(Generic[M]):
    """A cross-field rule over a model.

    `reads` are the parts it needs whole: where a value below one of them was refused already, the rule is not asked,
    since its answer would only be a consequence.
    """

    check: Callable[[M], Iterable[Finding]]
    reads: tuple[Path, ...] = ()
