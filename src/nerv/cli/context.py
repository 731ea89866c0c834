"""What every verb is given: the global options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nerv.operations import folder
from nerv.operations.folder import PlatformFolder


@dataclass(frozen=True)
class Context:
    """`-C DIR` and `--debug`."""

    directory: Path | None = None
    debug: bool = False

    def platform(self) -> PlatformFolder:
        """The platform that is meant. Raises NervError when there is none or more than one."""
        return folder.find(self.directory)
