"""Semantic versions and constraints as Helm and Flux (Masterminds/semver) read them. Pure.

`>=1.2 <2`, `1.x`, `~1.2.3`, `^1.2`, `1.2 - 1.4`, `>=1 || <0.5`; a constraint without a pre-release never takes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import total_ordering

from typing_extensions import override

_VERSION = re.compile(
    r"^v?(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:\.(?P<patch>\d+))?(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+(?P<build>[0-9A-Za-z.-]+))?$"
)
_TERM = re.compile(
    r"\s*(=||!=|>=|=>|<=|=<|>|<|~>|~|\^)\s*(v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*]))*(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)\s*"
)
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """Compared by precedence: build metadata does not count."""

    major: int
    minor: int
    patch: int
    pre: str = ""
    text: str = ""

    def _order(self) -> tuple[object, ...]:
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre.split("."))
        return (self.major, self.minor, self.patch, not self.pre, parts if self.pre else ())

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order() == other._order()

    @override
    def __hash__(self) -> int:
        return hash(self._order())

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()


def parse(text: str) -> Version | None:
    """The version that a text is, missing parts being 0; None when it is none."""
    match = _VERSION.match(text)
    if not match:
        return None
    major, minor, patch = (int(match[part] or 0) for part in ("major", "minor", "patch"))
    return Version(major, minor, patch, match["pre"] or "", text)


class ConstraintError(ValueError):
    """A text that is no constraint."""


Check = Callable[[Version], bool]


def constraint(text: str) -> Check:
    """A function that says whether a version fits. Raises ConstraintError."""
    alternatives = [_all(part) for part in text.split("||")]
    return lambda version: any(check(version) for check in alternatives)


def _all(text: str) -> Check:
    expanded = _HYPHEN.sub(r">=\1 <=\2", text.strip()).replace(",", " ")
    checks: list[Check] = []
    at = 0
    while at < len(expanded):
        match = _TERM.match(expanded, at)
        if not match or match.end() == at:
            raise ConstraintError(f"improper constraint: {text.strip()}")
        checks.append(_term(match[1], match[2]))
        at = match.end()
    if not checks:
        raise ConstraintError(f"improper constraint: {text.strip()}")
    return lambda version: all(check(version) for check in checks)


def _term(operator: str, text: str) -> Check:
    bare, _, pre = text.removeprefix("v").partition("+")[0].partition("-")
    given = [int(part) for part in _until_wildcard(bare.split("."))]
    first, second, third = [*given, 0, 0, 0][:3]
    low = Version(first, second, third, pre)
    high = _next(given)

    def within(version: Version) -> bool:
        return version >= low and (high is None or _core(version) < high)

    checks: dict[str, Check] = {
        "": within if len(given) < 3 else lambda version: version == low,
        "!=": lambda version: not within(version) if len(given) < 3 else version != low,
        ">": lambda version: version > low if len(given) == 3 else high is not None and _core(version) >= high,
        ">=": lambda version: version >= low,
        "<": lambda version: version < low,
        "<=": lambda version: version <= low if len(given) == 3 else high is None or _core(version) < high,
        "~": lambda version: version >= low and _below(version, _next(given[:2])),
        "^": lambda version: version >= low and _below(version, _caret(given)),
    }
    aliases = {"=": "", "=>": ">=", "=<": "<=", "~>": "~"}
    check = checks[aliases.get(operator, operator)]
    # a range without a pre-release of its own never leads to one
    return lambda version: check(version) and (not version.pre or bool(pre))


def _until_wildcard(parts: list[str]) -> list[str]:
    for number, part in enumerate(parts):
        if part in "xX*":
            return parts[:number]
    return parts[:3]


def _core(version: Version) -> tuple[int, int, int]:
    return (version.major, version.minor, version.patch)


def _next(given: list[int]) -> tuple[int, int, int] | None:
    """The first version above all that begin with the given numbers; None when all do."""
    if not given:
        return None
    raised = [*given[:-1], given[-1] + 1, 0, 0]
    return (raised[0], raised[1], raised[2])


def _below(version: Version, limit: tuple[int, int, int] | None) -> bool:
    return limit is None or _core(version) < limit


def _caret(given: list[int]) -> tuple[int, int, int] | None:
    """`^` keeps the first number that is not 0."""
    for number, part in enumerate(given):
        if part:
            return _next(given[: number + 1])
    return _next(given)


def newest(texts: list[str], expression: str) -> str | None:
    """The newest of the versions that fit, as it was written. Raises ConstraintError."""
    check = constraint(expression)
    fitting = [version for version in (parse(text) for text in texts) if version and check(version)]
    return max(fitting).text if fitting else None
