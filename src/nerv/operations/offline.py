"""What a platform that runs offline has refused, told to other processes in `.nerv/refused.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder

Refused = Mapping[str, tuple[str, ...]]
"""Hosts, and the sources that name each."""


def write(folder: PlatformFolder, refused: Refused) -> None:
    """Tell what was refused since the start."""
    folders.write_private(folder.refused, json.dumps({host: list(named) for host, named in refused.items()}, indent=1))


def forget(folder: PlatformFolder) -> None:
    """Nothing was refused yet."""
    folder.refused.unlink(missing_ok=True)


def read(folder: PlatformFolder) -> tuple[str, ...]:
    """Lines for the status."""
    try:
        return lines({host: tuple(named) for host, named in json.loads(folder.refused.read_text("utf-8")).items()})
    except (OSError, ValueError):
        return ()


def lines(refused: Refused) -> tuple[str, ...]:
    """One line for each host."""
    return tuple(
        f"{host} is not mirrored and was refused{_named(named)}: start without --offline"
        for host, named in sorted(refused.items())
    )


def _named(sources: tuple[str, ...]) -> str:
    return f" ({', '.join(sources)})" if sources else ""
