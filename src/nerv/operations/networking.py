"""Which driver a platform's network has: chosen at each start, remembered in `.nerv/network.json`, said in status."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import get_args

from nerv.errors import NervError
from nerv.network import choosing
from nerv.network.choosing import Choice, DriverName
from nerv.network.driver import Network
from nerv.operations import folder as folders
from nerv.operations.folder import PlatformFolder

AUTO = "auto"
NAMES: tuple[DriverName, ...] = get_args(DriverName)


@dataclass(frozen=True)
class NetworkRecord:
    """The driver of a platform's last start. `asked`: what later starts take, "" for by trying."""

    driver: str
    why: str = ""
    asked: str = ""
    gaps: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """What users should know of it; nothing where the driver has no gaps."""
        if not self.gaps:
            return ()
        return (f"driver {self.driver}: {self.why}", *self.gaps)


def read(folder: PlatformFolder) -> NetworkRecord | None:
    """The record of the last start, None before the first."""
    try:
        told = json.loads(folder.network_file.read_text(encoding="utf-8"))
        return NetworkRecord(told["driver"], told["why"], told["asked"], tuple(told["gaps"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def choose(folder: PlatformFolder, asked: str | None) -> tuple[Choice, str]:
    """The driver asked for now or at an earlier start, else what can be had; and which was asked for ("": none).

    Raises NervError for an unknown one, and for namespaces that are refused.
    """
    before = read(folder)
    wanted = ("" if asked == AUTO else asked) if asked else (before.asked if before else "")
    driver = next((name for name in NAMES if name == wanted), None)
    if wanted and driver is None:
        raise NervError(f"there is no network driver {wanted!r}", f"drivers: {', '.join((*NAMES, AUTO))}")
    return await choosing.choose(driver), wanted


def remember(folder: PlatformFolder, network: Network, choice: Choice, asked: str) -> NetworkRecord:
    """Write what was chosen, once the network runs and knows its gaps."""
    record = NetworkRecord(choice.driver, choice.why, asked, network.gaps)
    folders.write_private(folder.network_file, json.dumps(asdict(record), indent=1))
    return record
