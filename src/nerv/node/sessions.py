"""Exec and attach: a program in a container, or the container's own, joined to a client's channels."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Awaitable, Callable

from nerv.kube.objects import Object
from nerv.node import processes
from nerv.node.channels import Channels
from nerv.node.processes import ContainerProcess, StartError
from nerv.node.runs import ProcessRun

_CHUNK = 1 << 15


def exit_status(code: int) -> Object:
    """The Status that ends a session: kubectl exits with the code in it."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(message: str) -> Object:
    """The Status of a session that could not begin."""
    return {"metadata": {}, "status": "Failure", "reason": "InternalError", "message": message, "code": 500}


async def execute(run: ProcessRun, command: tuple[str, ...], channels: Channels, *, stdin: bool, tty: bool) -> None:
    """Run `command` in the container."""
    try:
        code = await (_in_terminal(run, command, channels) if tty else _plain(run, command, channels, stdin))
    except StartError as error:
        await channels.finish(failure(f"failed to start exec in the container: {error}"))
        return
    await channels.finish(exit_status(code))


async def _plain(run: ProcessRun, command: tuple[str, ...], channels: Channels, stdin: bool) -> int:
    entered = await processes.enter(run.process, command, stdin=stdin)
    feeding = asyncio.create_task(_feed(channels, entered, close=True)) if stdin else None
    assert entered.stdout is not None
    assert entered.stderr is not None
    try:
        await asyncio.gather(_drain(entered.stdout, channels.output), _drain(entered.stderr, channels.error_output))
        return await entered.wait()
    finally:
        if feeding:
            feeding.cancel()
        entered.signal(signal.SIGKILL)  # a client that went away takes its program with it


async def _feed(channels: Channels, program: ContainerProcess, *, close: bool) -> None:
    """Type to a program; `close` ends its input with the user's."""
    assert program.stdin is not None
    with contextlib.suppress(ConnectionError):  # the program has closed its input
        async for data in channels.input():
            program.stdin.write(data)
            await program.stdin.drain()
        if close:
            program.stdin.close()


async def _drain(reader: asyncio.StreamReader, write: Callable[[bytes], Awaitable[None]]) -> None:
    while data := await reader.read(_CHUNK):
        await write(data)


async def _in_terminal(run: ProcessRun, command: tuple[str, ...], channels: Channels) -> int:
    master, slave = pty.openpty()
    try:
        entered = await processes.enter(run.process, command, terminal=slave)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    channels.on_resize(lambda width, height: _resize(master, width, height))
    typing = asyncio.create_task(_type(channels, master))
    try:
        await _show(master, channels)
        return await entered.wait()
    finally:
        typing.cancel()
        entered.signal(signal.SIGKILL)
        os.close(master)


def _resize(terminal: int, width: int, height: int) -> None:
    with contextlib.suppress(OSError):  # the terminal has gone
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


async def _type(channels: Channels, terminal: int) -> None:
    async for data in channels.input():
        os.write(terminal, data)


async def _show(terminal: int, channels: Channels) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(terminal, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            try:
                data = os.read(terminal, _CHUNK)
            except OSError:  # EIO: the last program has closed the terminal
                return
            if not data:
                return
            await channels.output(data)
    finally:
        loop.remove_reader(terminal)


async def attach(run: ProcessRun, channels: Channels, *, stdin: bool, once: bool, tty: bool) -> None:
    """Show what the container's own program prints from now on, and type to it where it reads.

    Its input stays open for the next client, unless the container says `stdinOnce`. A client with a terminal has one
    stream for all that is printed. How the program ended is the pod's to say: a session that saw its end succeeded.
    """
    printed: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    end = run.listen(lambda stream, data: printed.put_nowait((stream, data)))
    feeding = asyncio.create_task(_feed(channels, run.process, close=once)) if stdin and run.process.stdin else None
    waiting = asyncio.create_task(run.wait())
    try:
        while True:
            getting = asyncio.create_task(printed.get())
            await asyncio.wait([getting, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                break
            stream, data = getting.result()
            await (channels.output if stream == "stdout" or tty else channels.error_output)(data)
        await channels.finish(exit_status(0))
    finally:
        end()
        for task in (feeding, waiting):
            if task:
                task.cancel()
