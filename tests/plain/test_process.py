import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from nerv import process
from nerv.errors import NervError, ProcessError


async def test_run_returns_output_and_takes_input() -> None:
    done = await process.run(["cat"], input=b"hello")
    assert (done.code, done.stdout) == (0, "hello")


async def test_a_failure_carries_a_command_to_paste() -> None:
    with pytest.raises(ProcessError, match=r"`sh -c 'echo no >&2; exit 3'` failed with exit code 3: no"):
        await process.run(["sh", "-c", "echo no >&2; exit 3"])


async def test_a_missing_program_is_one_line() -> None:
    with pytest.raises(NervError, match="`no-such-program` is not installed"):
        await process.run(["no-such-program"])


async def test_a_program_that_the_kernel_refuses_is_one_line(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    with pytest.raises(NervError, match=r"program` cannot be started: Exec format error$"):
        await process.run([str(program)])
    with pytest.raises(NervError, match=r"cannot be started: Permission denied$"):
        await process.start([str(tmp_path)])
    with pytest.raises(NervError, match=r"program` cannot be started: Exec format error$"):
        process.run_sync([str(program)])


async def test_a_child_that_takes_too_long_is_killed() -> None:
    with pytest.raises(NervError, match=r"`sleep` did not end within 0.05 s"):
        await process.run(["sleep", "60"], timeout=0.05)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("command", ["exec sleep 60", "head -c 1; sleep 60 & exit 0"], ids=["itself", "helper"])
def test_a_run_that_is_cancelled_at_any_time_leaves_no_pipe_open(
    loop: Callable[[], asyncio.AbstractEventLoop], command: str
) -> None:
    more_than_a_pipe_holds = b"x" * 1_000_000

    async def cancelled(turns: int) -> None:
        await process.run(["cat"], input=b"x")  # what a loop opens once and for all
        before = set(Path("/proc/self/fd").iterdir())
        running = asyncio.create_task(process.run(["sh", "-c", command], input=more_than_a_pipe_holds))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert set(Path("/proc/self/fd").iterdir()) == before, turns

    for turns in range(40):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(cancelled(turns))


async def test_stop_kills_a_child_that_ignores_sigterm(tmp_path: Path) -> None:
    script = "import signal,sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    child = await process.start([sys.executable, "-c", script], stdout=asyncio.subprocess.PIPE)
    assert child.handle.stdout is not None
    await child.handle.stdout.readline()
    assert await child.stop(grace=0.05) == -signal.SIGKILL


async def test_a_log_is_private(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await process.start(["echo", "hello"], log=log)
    await child.wait()
    assert log.read_text() == "hello\n"
    assert log.stat().st_mode & 0o777 == 0o600


async def test_children_die_with_their_parent(tmp_path: Path) -> None:
    script = """
import asyncio
from nerv import process
async def main():
    child = await process.start(["sleep", "60"])
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await process.start([sys.executable, "-c", script], stdout=asyncio.subprocess.PIPE)
    assert parent.handle.stdout is not None
    grandchild = int(await parent.handle.stdout.readline())
    watched = os.pidfd_open(grandchild)
    try:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(watched, lambda: gone.done() or gone.set_result(None))
        os.kill(parent.pid, signal.SIGKILL)
        await asyncio.wait_for(gone, 10)
    finally:
        asyncio.get_running_loop().remove_reader(watched)
        os.close(watched)
        await parent.wait()
