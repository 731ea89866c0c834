"""Steps as values: order, resuming, reality before the record, and what a record survives."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nerv.deploy.ssh import Target
from nerv.deploy.steps import Record, Step, perform, script
from nerv.errors import NervError
from nerv.operations import deploying
from nerv.operations.folder import PlatformFolder


class World:
    """Steps a, b, c and what they did."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.said: list[str] = []
        self.kept: str | None = None
        self.failing = ""
        self.really_done: dict[str, bool] = {}

    def record(self) -> Record:
        return Record.load(self.kept, self._keep)

    def _keep(self, text: str) -> None:
        self.kept = text

    def steps(self) -> tuple[Step, ...]:
        return tuple(self._step(name) for name in "abc")

    def _step(self, name: str) -> Step:
        async def run() -> None:
            if name == self.failing:
                raise NervError(f"{name} failed")
            self.ran.append(name)

        async def done() -> bool:
            return self.really_done[name]

        return Step(name, f"do {name}", (f"make {name}",), run, done if name in self.really_done else None)

    async def go(self, start: str = "") -> None:
        await perform(self.steps(), self.record(), self.said.append, start=start)


async def test_a_run_goes_on_where_it_stopped() -> None:
    world = World()
    world.failing = "b"
    with pytest.raises(NervError, match="b failed"):
        await world.go()
    world.failing = ""
    await world.go()
    assert world.ran == ["a", "b", "c"]
    assert "a: done before" in world.said
    await world.go()
    assert world.ran == ["a", "b", "c"]


async def test_from_does_a_step_and_all_after_it_again() -> None:
    world = World()
    await world.go()
    await world.go("b")
    assert world.ran == ["a", "b", "c", "b", "c"]
    with pytest.raises(NervError, match="there is no step `d`") as caught:
        await world.go("d")
    assert caught.value.hint == "the steps are a, b, c"


async def test_from_that_fails_is_not_done_for_the_next_run() -> None:
    world = World()
    await world.go()
    world.failing = "b"
    with pytest.raises(NervError):
        await world.go("b")
    world.failing = ""
    await world.go()
    assert world.ran == ["a", "b", "c", "b", "c"]


async def test_reality_counts_for_more_than_the_record() -> None:
    world = World()
    world.really_done = {"b": True}
    await world.go()
    assert world.ran == ["a", "c"]
    # the machine went back to its old system meanwhile
    world.really_done = {"b": False}
    await world.go()
    assert world.ran == ["a", "c", "b"]


def test_a_script_can_be_read_and_pasted() -> None:
    assert script("two", World().steps()[:2]) == "# two\n\n# 1. a: do a\nmake a\n\n# 2. b: do b\nmake b\n"


def test_the_record_of_a_node_is_private_and_belongs_to_one_machine(tmp_path: Path) -> None:
    folder = PlatformFolder(tmp_path)
    record = deploying.load_record(folder, "nerv-1")
    record.target, record.host_key = "root@192.168.1.10", "ssh-ed25519 AAAA"
    record.finish("a")
    file = tmp_path / ".nerv" / "deploy" / "nerv-1.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = deploying.load_record(folder, "nerv-1")
    assert (again.target, again.host_key, list(again.finished)) == ("root@192.168.1.10", "ssh-ed25519 AAAA", ["a"])
    assert deploying.with_target(again, Target("192.168.1.10")).finished
    assert not deploying.with_target(again, Target("192.168.1.99")).finished


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 2, "target": "", "hostKey": "", "finished": {}}']
)
def test_a_record_that_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(NervError, match="the record of an earlier deploy"):
        Record.load(text, print)
