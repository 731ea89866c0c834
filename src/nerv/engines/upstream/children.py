"""The control plane's processes: each kept running, with a log of its own, ended in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nerv import process
from nerv.errors import NervError
from nerv.tasks import Supervisor

_log = logging.getLogger(__name__)
_FIRST_BACK_OFF, _LAST_BACK_OFF = 0.25, 10.0
_LARGEST_LOG = 16 << 20
_FATAL_EXITS = 3
_STEADY = 20.0
"""Seconds that a program runs until its earlier ends are forgotten."""


@dataclass(frozen=True)
class Program:
    """`grace`: seconds that it is given to end by itself. The environment is `environment` alone."""

    name: str
    command: Sequence[str]
    log: Path
    environment: dict[str, str]
    grace: float = 5.0


class Children:
    """Running programs by name. One that ends is started again, later each time; all die with this process.

    `on_change` is called when `failing` has changed.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None, *, steady: float = _STEADY) -> None:
        self._supervisor = Supervisor(
            first_back_off=_FIRST_BACK_OFF, last_back_off=_LAST_BACK_OFF, on_failure=self._failed
        )
        self._on_change = on_change
        self._steady = steady
        self._programs: list[Program] = []
        self._exits: dict[str, int] = {}
        self._refusals: dict[str, str] = {}
        self._endings: dict[str, str] = {}
        self._failing: dict[str, str] = {}
        self._pids: dict[str, int] = {}

    def start(self, program: Program) -> None:
        """Keep it running from now on."""
        program.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._programs.append(program)
        self._supervisor.start(program.name, lambda: self._run(program))

    @property
    def pids(self) -> dict[str, int]:
        """Of what runs now."""
        return dict(self._pids)

    @property
    def failing(self) -> tuple[str, ...]:
        """What has ended and does not run steadily again: one line for each, with its last words."""
        return tuple(self._failing.values())

    def check(self) -> None:
        """Raise NervError when one does not come up: it has ended several times, and its log says why."""
        for program in self._programs:
            if self._exits.get(program.name, 0) >= _FATAL_EXITS:
                why = self._refusals.get(program.name) or _last_line(program.log)
                raise NervError(f"{program.name} does not start: {why}", f"see {program.log}")

    async def stop(self) -> None:
        """End all, the last started first, so that nobody loses what it depends on."""
        for program in reversed(self._programs):
            await self._supervisor.cancel(program.name)
        self._programs.clear()

    async def _run(self, program: Program) -> None:
        _rotate(program.log)
        try:
            child = await process.start(program.command, env=program.environment, clean_env=True, log=program.log)
        except NervError as error:
            self._ended(program, error.message)
            self._refusals[program.name] = error.message
            raise
        self._refusals.pop(program.name, None)
        self._pids[program.name] = child.pid
        steady = asyncio.get_running_loop().call_later(self._steady, self._recovered, program.name)
        try:
            how = _how(await child.wait())
            self._ended(program, f"{how}: {_last_line(program.log)}")
            raise NervError(f"{program.name} {how}", f"see {program.log}")
        finally:
            steady.cancel()
            self._pids.pop(program.name, None)
            await child.stop(program.grace)

    def _ended(self, program: Program, why: str) -> None:
        self._exits[program.name] = self._exits.get(program.name, 0) + 1
        self._endings[program.name] = f"{program.name} ({program.log}) {why}"

    def _failed(self, name: str, delay: float) -> None:
        self._failing[name] = f"{self._endings[name]}; started again after {delay:g} s"
        self._on_change()

    def _recovered(self, name: str) -> None:
        self._exits.pop(name, None)
        if self._failing.pop(name, None):
            self._on_change()


def _how(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_name(f"{log.name}.old"))


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it has no log"
    return lines[-1][-300:] if lines else "it said nothing"
