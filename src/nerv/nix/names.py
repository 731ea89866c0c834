"""Names at run time: environments, the scopes that are known beforehand, and how a name is found."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from nerv.nix.values import (
    Code,
    EvaluationError,
    Partial,
    Place,
    Set,
    Thunk,
    force,
    kind,
)


class Environment:
    """Values of names at run time; `up` is the environment around it. That of a `with` holds its set alone."""

    __slots__ = ("names", "up")

    def __init__(self, names: dict[str, object], up: Environment | None) -> None:
        self.names = names
        self.up = up


@dataclass(frozen=True)
class Scope:
    """Names that are known where an expression stands; None: those of a `with`, known at run time only."""

    names: frozenset[str] | None
    up: Scope | None


WITH = ""


def fixed(name: str, depth: int, *, forced: bool) -> Code:
    """A name whose environment is known."""

    def run(env: Environment) -> object:
        for _ in range(depth):
            env = cast(Environment, env.up)
        value = env.names[name]
        return value.force() if forced and type(value) is Thunk else value

    return run


def dynamic(name: str, withs: Sequence[int], place: Place | None) -> Code:
    """A name that one of the sets of `with` around it must have; the innermost counts, but one that surely has it."""

    def run(env: Environment) -> object:
        depth, partial = 0, None
        for wanted in withs:
            for _ in range(wanted - depth):
                env = cast(Environment, env.up)
            depth = wanted
            scope = force(env.names[WITH])
            if not isinstance(scope, Set):
                raise EvaluationError(f"`with` is given {kind(scope)}, not a set", place)
            if name in scope:
                return force(scope[name])
            if partial is None and isinstance(scope, Partial):
                partial = scope
        if partial is not None:
            return of_partial(partial, name, place)
        raise EvaluationError(f"`{name}` is not defined", place)

    return run


def of_partial(partial: Partial, name: str, place: Place | None) -> object:
    try:
        return force(partial.missing(name))
    except EvaluationError as error:
        error.place = error.place or place
        raise


def missing(value: object, name: str, place: Place | None) -> EvaluationError:
    if not isinstance(value, Set):
        return EvaluationError(f"`{name}` is looked up in {kind(value)}, not in a set", place)
    close = difflib.get_close_matches(name, value, 1)
    return EvaluationError(f"attribute `{name}` is missing" + (f"; did you mean `{close[0]}`?" if close else ""), place)
