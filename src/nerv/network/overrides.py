"""`override` for code that runs without site-packages: typing has it from Python 3.12 on, typing_extensions before."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

_T = TypeVar("_T")

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: _T) -> _T:
        """Mark a method that replaces its base class's; only the type checker looks at it."""
        return method


__all__ = ["override"]
