"""Child processes: the only module that starts any.

`run` waits for the end and returns the output, `start` returns a running child, `converse` one for blocking calls.
Every child dies with this process (PR_SET_PDEATHSIG, or its input that ends), so a `kill -9` of NERV leaves no orphan.
Secrets go through `input` or the environment, never through arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nerv.errors import NervError, ProcessError

_PR_SET_PDEATHSIG = 1
_END_SECONDS = 2.0
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    # Runs in the child between fork and exec: only async-signal-safe work.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True)
class Completed:
    """The end of a child: exit code (negative: the signal), standard output and error as text."""

    code: int
    stdout: str
    stderr: str


async def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes = b"",
    timeout: float | None = None,
    check: bool = True,
) -> Completed:
    """Run `command` to its end. `env` is added to this process's environment. `timeout` in seconds.

    Raises ProcessError when it fails and `check` is set, NervError when the program is missing or takes too long.
    """
    # without input no pipe: uvloop raises when it writes to a child that has ended already
    stdin = asyncio.subprocess.PIPE if input else asyncio.subprocess.DEVNULL
    child = await _spawn(command, cwd, env, stdin, asyncio.subprocess.PIPE)
    try:
        stdout, stderr = await asyncio.wait_for(child.communicate(input or None), timeout)
    except TimeoutError:
        raise NervError(f"`{command[0]}` did not end within {timeout:g} s") from None
    finally:
        await _end(child)
    completed = Completed(child.returncode or 0, stdout.decode(errors="replace"), stderr.decode(errors="replace"))
    if check and completed.code:
        raise ProcessError(list(command), completed.code, completed.stderr or completed.stdout)
    return completed


async def pipe(command: Sequence[str], input: bytes, *, env: Mapping[str, str] | None = None) -> bytes:
    """Run a filter: bytes in, bytes out. Raises ProcessError when it fails, NervError when it is missing."""
    stdin = asyncio.subprocess.PIPE if input else asyncio.subprocess.DEVNULL
    child = await _spawn(command, None, env, stdin, asyncio.subprocess.PIPE)
    try:
        stdout, stderr = await child.communicate(input or None)
    finally:
        await _end(child)
    if child.returncode:
        raise ProcessError(list(command), child.returncode, stderr.decode(errors="replace"))
    return stdout


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill what is left of a child and of the helpers it started: they hold its pipes (git has one per transport)."""
    streams = (child.stdout, child.stderr)
    unread = child.stdin is not None and not child.stdin.is_closing()
    if child.returncode is not None and not unread and all(stream is None or stream.at_eof() for stream in streams):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_closed(child), _END_SECONDS)


async def _closed(child: asyncio.subprocess.Process) -> None:
    """Wait until the child has ended and its pipes are closed. What it has not read of its input is dropped."""
    if child.stdin:
        pipe = child.stdin.transport
        if not pipe.is_closing() or pipe.get_write_buffer_size():
            pipe.abort()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await child.stdin.wait_closed()
    await child.communicate()
    await asyncio.sleep(0)  # the loop closes what it keeps of the child in the turn after the end, and tells nobody


@dataclass
class Child:
    """A running child process, held by its own handle."""

    command: list[str]
    handle: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.handle.pid

    @property
    def code(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self.handle.returncode

    async def wait(self) -> int:
        return await self.handle.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the child's whole process group; a child that is gone is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.handle.pid, number)

    async def stop(self, grace: float = 5.0) -> int:
        """SIGTERM, then SIGKILL after `grace` seconds. Returns the exit code."""
        if self.handle.returncode is None:
            self.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.handle.wait(), grace)
            except TimeoutError:
                self.signal(signal.SIGKILL)
        return await self.handle.wait()


async def start(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
    clean_env: bool = False,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start `command` in a process group of its own. Output is appended to `log` (mode 0600), else discarded.

    With `clean_env` the child gets `env` alone. `stdin`, `stdout` and `stderr` take asyncio.subprocess.PIPE for
    talking to it, or an open descriptor.
    Raises NervError when the program is missing.
    """
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if log else asyncio.subprocess.DEVNULL
    try:
        handle = await _spawn(
            command,
            cwd,
            env,
            stdin,
            stdout if stdout is not None else output,
            stderr if stderr is not None else output,
            clean_env,
            pass_fds,
        )
    finally:
        if log:
            os.close(output)
    return Child(list(command), handle)


async def _spawn(
    command: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stdout: int,
    stderr: int = asyncio.subprocess.PIPE,
    clean_env: bool = False,
    pass_fds: Sequence[int] = (),
) -> asyncio.subprocess.Process:
    environment = dict(env or {}) if clean_env else {**os.environ, **(env or {})}
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            pass_fds=tuple(pass_fds),
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # asyncio loses a child, and its pipes, whose start is cancelled half-way: let it start, then end it
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise
    except OSError as error:
        raise _not_started(command, error) from None


def _not_started(command: Sequence[str], error: OSError) -> NervError:
    if isinstance(error, FileNotFoundError):
        return NervError(f"`{command[0]}` is not installed or not on PATH")
    # no execute permission, a file system without programs, another architecture
    return NervError(f"`{command[0]}` cannot be started: {error.strerror}")


def run_sync(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Completed:
    """`run` for code that has no event loop (small, fast commands in the command line)."""
    try:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise _not_started(command, error) from None
    if done.returncode:
        raise ProcessError(list(command), done.returncode, done.stderr or done.stdout)
    return Completed(done.returncode, done.stdout, done.stderr)


def foreground(command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a program that speaks with the user on this terminal, such as an editor. Returns its exit code.

    Ctrl-C is the program's to handle. Raises NervError when it is missing.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(
            list(command),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ).returncode
    except OSError as error:
        raise _not_started(command, error) from None
    finally:
        signal.signal(signal.SIGINT, before)


class Dialogue:
    """A child that answers on its standard output what it reads on its standard input, spoken to by blocking calls.

    For use from threads, one at a time. It must end with its input, which a `kill -9` of this process closes too
    (PR_SET_PDEATHSIG would end it with the thread that started it).
    """

    def __init__(self, handle: subprocess.Popen[bytes]) -> None:
        self._handle = handle

    @property
    def pid(self) -> int:
        return self._handle.pid

    def write(self, data: bytes) -> bool:
        """Whether the child was there to take it."""
        assert self._handle.stdin
        try:
            self._handle.stdin.write(data)
            self._handle.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer when the child has ended."""
        assert self._handle.stdout
        return self._handle.stdout.read(size)

    def close(self) -> None:
        """Close its input and wait for its end; one that goes on is killed."""
        try:
            self._handle.communicate(timeout=_END_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._handle.kill()
            self._handle.communicate()


def converse(command: Sequence[str]) -> Dialogue:
    """Start a child to have a dialogue with. Raises NervError when the program is missing."""
    try:
        return Dialogue(
            subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
    except OSError as error:
        raise _not_started(command, error) from None


def spawn_detached(command: Sequence[str], log: Path) -> int:
    """Start `command` in a session of its own that outlives this process, output in `log` (0600). Returns the pid."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    except OSError as error:
        raise _not_started(command, error) from None
    finally:
        os.close(output)
    child.returncode = 0  # its end is watched by pid; keeps Popen from warning that it still runs
    return child.pid
