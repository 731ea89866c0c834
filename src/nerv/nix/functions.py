"""Functions written in Python: how they become values of Nix, and how they call those."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from nerv.nix.values import Builtin, Thunk, apply, later


def function(name: str, python: Callable[..., object]) -> Builtin:
    """A function of as many arguments as the Python function has."""
    return Builtin(name, len(inspect.signature(python).parameters), python)


def delayed(called: object, *arguments: object) -> Thunk:
    """What a function of Nix will give for arguments."""
    return later(lambda: apply(called, *arguments))
