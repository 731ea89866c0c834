"""Comparing answers with a recording, and the figures that follow. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from nerv.operations.fidelity.playing import Answer
from nerv.operations.fidelity.recordings import Recording


class Judged(Protocol):
    """A case, of whatever area."""

    @property
    def area(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def gap(self) -> str: ...

    @property
    def other_version(self) -> str: ...


Verdict = Literal["same", "gap", "other version", "different", "not recorded", "mark not needed"]
_FINE: tuple[Verdict, ...] = ("same", "gap", "other version")


@dataclass(frozen=True)
class Result:
    """What became of a case. `differences` name places in its answers."""

    case: Judged
    verdict: Verdict
    differences: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether it is as it is known to be."""
        return self.verdict in _FINE


@dataclass(frozen=True)
class Figure:
    """Counts of an area."""

    area: str
    cases: int
    same: int
    gaps: int
    other_version: int


def compare(cases: Sequence[Judged], recording: Recording, answers: Mapping[str, list[Answer]]) -> tuple[Result, ...]:
    """One result for each case."""
    return tuple(judge(case, recording, answers[case.identity]) for case in cases)


def judge(case: Judged, recording: Recording, answered: list[Answer]) -> Result:
    """What became of one case."""
    recorded = recording.answers.get(case.identity)
    if recorded is None:
        return Result(case, "not recorded")
    found = tuple(differences(recorded, answered))
    if not found:
        return Result(case, "mark not needed" if case.gap or case.other_version else "same")
    if case.gap:
        return Result(case, "gap", found)
    return Result(case, "other version" if case.other_version else "different", found)


def differences(recorded: Any, answered: Any, place: str = "") -> Iterator[str]:
    """Places where two documents differ, with both values; a missing field is `absent`."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key in sorted({*recorded, *answered}):
            yield from differences(recorded.get(key, _ABSENT), answered.get(key, _ABSENT), f"{place}.{key}")
    elif isinstance(recorded, list) and isinstance(answered, list) and len(recorded) == len(answered):
        for number, (one, other) in enumerate(zip(recorded, answered, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif recorded != answered:
        yield f"{place.lstrip('.') or 'answer'}: upstream {_shown(recorded)}, embedded {_shown(answered)}"


_ABSENT = object()


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else repr(value)


def figures(results: Sequence[Result]) -> tuple[Figure, ...]:
    """Counts by area, in the order of the cases."""
    areas = dict.fromkeys(result.case.area for result in results)
    return tuple(_figure(area, [result for result in results if result.case.area == area]) for area in areas)


def _figure(area: str, results: Sequence[Result]) -> Figure:
    def count(verdict: Verdict) -> int:
        return sum(result.verdict == verdict for result in results)

    return Figure(area, len(results), count("same"), count("gap"), count("other version"))
