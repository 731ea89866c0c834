"""One run of one container: a process, a coroutine, or nothing at all. The life cycle around it is the same for all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from nerv.node import processes
from nerv.node.logs import LogFile
from nerv.node.processes import ContainerProcess, ContainerSpec
from nerv.node.programs import PodContext

_log = logging.getLogger(__name__)
_KILLED = 137
_ENDED_BY_TERM = 143


class Run(Protocol):
    """A container that was started."""

    async def wait(self) -> int:
        """The exit code."""
        ...

    async def stop(self, grace: float) -> None:
        """Ask it to end, force it after `grace` seconds, and wait until it has ended."""
        ...


class ProcessRun:
    """A real process. Its output is copied to the log until it ends."""

    def __init__(self, process: ContainerProcess, log: LogFile) -> None:
        self.process = process
        self.log = log
        self._listeners: set[Callable[[str, bytes], None]] = set()
        streams = (("stdout", process.stdout), ("stderr", process.stderr))
        self._copies = [
            asyncio.create_task(log.copy(reader, name, self._tell)) for name, reader in streams if reader is not None
        ]
        self._ended = asyncio.create_task(self._end())

    @classmethod
    async def start(cls, spec: ContainerSpec, log: Path) -> ProcessRun:
        """Raises processes.StartError."""
        return cls(await processes.start(spec), LogFile(log))

    def listen(self, listener: Callable[[str, bytes], None]) -> Callable[[], None]:
        """Hear what the program prints from now on (stream, bytes). Returns what ends it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _tell(self, stream: str, data: bytes) -> None:
        for listener in tuple(self._listeners):
            listener(stream, data)

    async def wait(self) -> int:
        """The exit code, once all output is in the log. Several may wait, and who goes away takes nothing along."""
        return await asyncio.shield(self._ended)

    async def _end(self) -> int:
        code = await self.process.wait()
        await asyncio.gather(*self._copies)
        self.log.close()
        return code

    async def stop(self, grace: float) -> None:
        await self.process.stop(grace)
        await self.wait()


class CoroutineRun:
    """Work inside NERV that ends by itself, such as what a Job does."""

    def __init__(self, work: Callable[[PodContext], Awaitable[int]], context: PodContext, log: LogFile) -> None:
        self.log = log
        self._task = asyncio.create_task(self._run(work, context))

    async def _run(self, work: Callable[[PodContext], Awaitable[int]], context: PodContext) -> int:
        try:
            return await work(context)
        except asyncio.CancelledError:
            return _ENDED_BY_TERM
        except Exception as error:  # noqa: BLE001  the container boundary: whatever it raises is its exit code 1
            _log.debug("%s/%s failed", context.pod["metadata"]["name"], context.container, exc_info=True)
            self.log.write(f"error: {error}", "stderr")
            return 1
        finally:
            self.log.close()

    async def wait(self) -> int:
        return await asyncio.shield(self._task)

    async def stop(self, grace: float) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class IdleRun:
    """Nothing runs: a simulated container, or one whose work a reconciler does. It ends when it is told to."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    async def stop(self, grace: float) -> None:
        self._ended.set()


class InstantRun:
    """Ended as soon as it began: a simulated init container (0), or a Job that cannot be simulated (1)."""

    def __init__(self, code: int) -> None:
        self._code = code

    async def wait(self) -> int:
        return self._code

    async def stop(self, grace: float) -> None:
        return
