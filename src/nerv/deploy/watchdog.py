"""nixos-anywhere under a watchdog: it announces its phases (`### ... ###`), and three of its loops have no end of their
own (uploading keys, waiting after kexec, waiting for the reboot). Each phase has a limit here; one that takes longer is
ended with what is known to cause it.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from nerv import process
from nerv.deploy import causes
from nerv.deploy.causes import Diagnosis
from nerv.errors import NervError, ProcessError

_KEPT_LINES = 400
_SHOWN_LINES = 12
_STEP = re.compile(r"^### (.+?) ###$")
# said by the kexec script just before the old kernel goes
_KEXEC_BEGINS = "machine will boot into nixos"


@dataclass(frozen=True)
class Phase:
    """What nixos-anywhere announces, and how long it may take."""

    title: str
    seconds: float
    stall: str
    """what a phase that does not end is waiting for, and the remedy"""


BEGIN = Phase("evaluating and building", 7200, "Nix evaluates or builds; run it with -L to see what")
AFTER_KEXEC = Phase(
    "waiting for the installer",
    420,
    "the installer does not come up: its console shows why. Known: no network driver or DHCP in the installer (another "
    "address?), graphics or firmware that do not survive kexec. Way out: boot the NixOS installer from a stick",
)
PHASES: tuple[Phase, ...] = (
    Phase("Uploading install SSH keys", 90, "ssh-copy-id is tried again and again: no key is accepted, or no answer"),
    Phase("Gathering machine facts", 60, "the machine took the key and then stopped to answer"),
    Phase(
        "Switching system into kexec",
        900,
        "the installer's image (about 400 MB from github.com) does not arrive: slow or no internet on the machine; "
        "--nixos-anywhere '--kexec FILE' takes an image from here",
    ),
    Phase("Building disko script", 3600, "the machine builds for itself; is cache.nixos.org reachable from it?"),
    Phase("Formatting hard drive with disko", 600, "the disk does not answer: failing, or still in use (RAID, LVM)"),
    Phase("Uploading the system closure", 7200, "several GB go over SSH; --build-on remote lets it download itself"),
    Phase("Building the system closure", 10800, "the machine builds for itself; is cache.nixos.org reachable from it?"),
    Phase("Copying extra files", 60, "the connection stands still"),
    Phase("Installing NixOS", 1800, "nixos-install does not end: a slow disk, or the boot loader's installation hangs"),
    Phase("Rebooting", 60, "the installer does not take the order to reboot"),
    Phase(
        "Waiting for the machine to become unreachable due to reboot",
        240,
        "the machine does not go down: look at its console and reset it; the system is installed",
    ),
    Phase("Done!", 30, "it has ended its work and does not exit"),
)


class InstallationError(NervError):
    """nixos-anywhere failed or stalled in a phase."""

    def __init__(self, phase: Phase, said: str, diagnoses: Sequence[Diagnosis], tail: Sequence[str]) -> None:
        self.phase = phase
        self.diagnoses = tuple(diagnoses)
        self.tail = tuple(tail)
        super().__init__(f"{phase.title}: {said}")

    @override
    def lines(self) -> list[str]:
        shown = [f"  | {line}" for line in self.tail]
        named = [f"cause: {diagnosis}" for diagnosis in self.diagnoses]
        return [*shown, self.message, *named]


@dataclass
class _Progress:
    """Where a run is, by what it has said so far."""

    limit: Callable[[Phase], float]
    phase: Phase = BEGIN
    since: float = field(default_factory=time.monotonic)
    kept: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    @property
    def left(self) -> float:
        return self.since + self.limit(self.phase) - time.monotonic()

    def take(self, line: str) -> bool:
        """Note a line; True when a phase begins with it."""
        self.kept.append(line)
        begun = after(self.phase, line)
        if begun is None:
            return False
        self.phase, self.since = begun, time.monotonic()
        return True


def after(phase: Phase, line: str) -> Phase | None:
    """The phase that begins with a line, None where it goes on."""
    if _KEXEC_BEGINS in line:
        return AFTER_KEXEC
    found = _STEP.match(line.strip())
    if not found:
        return None
    # facts are gathered a second time, in the installer
    title = found[1]
    known = next((known for known in PHASES if known.title == title), None)
    return known or Phase(title, BEGIN.seconds, "this phase is not known to NERV; see its output")


async def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    say: Callable[[str], None],
    log: Callable[[str], None],
    patience: float = 1.0,
    limits: Mapping[str, float] | None = None,
    begin: Phase = BEGIN,
) -> None:
    """Run nixos-anywhere (or a program of one phase, `begin`) to its end. `say` gets each phase, `log` each line.

    `patience` stretches every limit; `limits` (title -> seconds) replaces single ones.

    Raises InstallationError with the phase, the known causes and the last lines.
    """
    child = await process.start(
        command,
        cwd=cwd,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    replaced = limits or {}
    progress = _Progress(lambda phase: replaced.get(phase.title, phase.seconds) * patience, begin)
    try:
        await _follow(child, progress, say, log)
        # ssh masters and ssh-copy-id may outlive it and hold its output
        code = await asyncio.wait_for(child.wait(), max(progress.left, 1.0))
    except TimeoutError:
        limit = progress.limit(progress.phase)
        raise _failure(progress, f"not done within {limit:g} s: {progress.phase.stall}") from None
    finally:
        child.signal(signal.SIGTERM)
        await child.stop()
    if code:
        raise _failure(progress, f"`{Path(command[0]).name}` ended with exit code {code}") from ProcessError(
            list(command), code, "\n".join(progress.kept)
        )


async def _follow(
    child: process.Child, progress: _Progress, say: Callable[[str], None], log: Callable[[str], None]
) -> None:
    output = child.handle.stdout
    assert output is not None
    while True:
        try:
            data = await asyncio.wait_for(output.readline(), max(progress.left, 0.0))
        except ValueError:  # a line longer than the reader takes is no announcement
            continue
        if not data:
            return
        line = data.decode(errors="replace").rstrip("\r\n")
        log(line)
        if progress.take(line):
            say(progress.phase.title)


def _failure(progress: _Progress, said: str) -> InstallationError:
    diagnoses = causes.diagnose(causes.INSTALLATION, "\n".join(progress.kept))
    return InstallationError(progress.phase, said, diagnoses, list(progress.kept)[-_SHOWN_LINES:])
