"""Completion indexes of an Indexed Job: their text form (`0,2-4`), and those that a pod stands for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from nerv.kube import objects
from nerv.kube.objects import Object

INDEX = "batch.kubernetes.io/job-completion-index"


def parse(text: str, completions: int) -> set[int]:
    """The indexes of a text; those beyond `completions` are dropped."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first:
            found |= set(range(int(first), int(last or first) + 1))
    return {index for index in found if index < completions}


def render(indexes: Iterable[int]) -> str:
    """The shortest text: two neighbours stay apart, three and more become a range."""
    parts: list[str] = []
    ordered = sorted(set(indexes))
    start = 0
    while start < len(ordered):
        end = start
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        first, last = ordered[start], ordered[end]
        if end - start >= 2:
            parts.append(f"{first}-{last}")
        else:
            parts += [str(each) for each in ordered[start : end + 1]]
        start = end + 1
    return ",".join(parts)


def of(pod: Object) -> int:
    """The index of a pod, -1 for none."""
    text = objects.annotations(pod).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def missing(wanted: int, completions: int, taken: set[int]) -> list[int]:
    """The first `wanted` indexes that nobody has or had."""
    free = (index for index in range(completions) if index not in taken)
    return [index for index, _ in zip(free, range(wanted), strict=False)]
