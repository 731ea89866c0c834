"""Steps as values: each has a name, says what it does, prints itself ready to paste, runs, and knows when it is done.

A run goes on where an earlier one stopped: `Record` keeps what is finished, and a step that finds its work done in
reality (`done`) is not repeated either.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nerv.errors import NervError

FORMAT = 1


@dataclass(frozen=True)
class Step:
    """One step of a deploy."""

    name: str
    what: str
    """one line, for people"""
    commands: tuple[str, ...]
    """the same by hand, ready to paste; never with a secret in them"""
    run: Callable[[], Awaitable[None]]
    done: Callable[[], Awaitable[bool]] | None = None
    """whether its work is found done: reality, where it can be asked, counts for more than the record"""
    always: bool = False
    """run each time, however often: it changes nothing, or what it does may have to be done again"""


@dataclass
class Record:
    """What is known of one node's deploy between two runs. `save` keeps its text (0600)."""

    save: Callable[[str], None]
    target: str = ""
    host_key: str = ""
    """of the system that was there before"""
    finished: dict[str, str] = field(default_factory=dict)
    """step -> when"""

    @classmethod
    def load(cls, text: str | None, save: Callable[[str], None]) -> Record:
        """From the text of an earlier run. Raises NervError for what no NERV wrote, or a newer one."""
        if text is None:
            return cls(save)
        try:
            told: dict[str, Any] = json.loads(text)
            known = int(told["format"])
            record = cls(save, str(told["target"]), str(told["hostKey"]), dict(told["finished"]))
        except (ValueError, KeyError, TypeError):
            raise NervError("the record of an earlier deploy is corrupt", "remove .nerv/deploy/<node>.json") from None
        if known > FORMAT:
            raise NervError(f"the record of an earlier deploy has format {known}", "use the newer NERV that wrote it")
        return record

    def keep(self) -> None:
        """Write it down."""
        told = {"format": FORMAT, "target": self.target, "hostKey": self.host_key, "finished": self.finished}
        self.save(json.dumps(told, indent=2) + "\n")

    def finish(self, name: str) -> None:
        self.finished[name] = datetime.now(UTC).isoformat(timespec="seconds")
        self.keep()

    def forget_from(self, names: Sequence[str]) -> None:
        """These steps are to be done (again)."""
        for name in names:
            self.finished.pop(name, None)
        self.keep()


def starting_at(steps: Sequence[Step], name: str) -> Sequence[Step]:
    """The steps from `name` on. Raises NervError for a name that is none of theirs."""
    names = [step.name for step in steps]
    if name not in names:
        raise NervError(f"there is no step `{name}`", f"the steps are {', '.join(names)}")
    return steps[names.index(name) :]


def script(title: str, steps: Sequence[Step]) -> str:
    """The steps as a shell script for people to read, and to paste from."""
    lines = [f"# {title}"]
    for number, step in enumerate(steps, 1):
        lines += ["", f"# {number}. {step.name}: {step.what}", *step.commands]
    return "\n".join(lines) + "\n"


async def perform(steps: Sequence[Step], record: Record, say: Callable[[str], None], *, start: str = "") -> None:
    """Run what is not finished yet, or everything from the step `start` on. What fails is raised by its step."""
    if start:
        wanted = starting_at(steps, start)
        record.forget_from([step.name for step in wanted])
        steps = wanted
    for step in steps:
        if not start and await _finished(step, record):
            say(f"{step.name}: done before")
            continue
        say(f"{step.name}: {step.what}")
        begun = time.monotonic()
        await step.run()
        if step.always:
            continue
        record.finish(step.name)
        say(f"{step.name}: done in {time.monotonic() - begun:.0f} s")


async def _finished(step: Step, record: Record) -> bool:
    if step.always:
        return False
    return await step.done() if step.done is not None else step.name in record.finished
