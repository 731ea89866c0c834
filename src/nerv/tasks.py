"""Long-running asyncio tasks under one supervisor.

A task that fails does not take the others down: it is logged (a defect with its traceback) and started again after a
back-off.
This is the task supervisor, one of the three named places where a broad `except` is right (CONTRIBUTING.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nerv.errors import NervError

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs named tasks until `stop`. `first_back_off` and `last_back_off` in seconds, doubled at each failure.

    `on_failure` hears the name of what has failed and in how many seconds it is started again; it does not raise.
    """

    def __init__(
        self,
        *,
        first_back_off: float = 0.1,
        last_back_off: float = 30.0,
        on_failure: Callable[[str, float], None] | None = None,
    ) -> None:
        self._first = first_back_off
        self._last = last_back_off
        self._on_failure = on_failure
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run` under `name`, again whenever it raises; when it returns it is done."""
        if name in self._tasks and not self._tasks[name].done():
            raise ValueError(f"task {name} runs already")
        self._tasks[name] = asyncio.create_task(self._keep(name, run), name=name)

    async def cancel(self, name: str) -> None:
        """End one task and wait for it; an unknown name is no error."""
        task = self._tasks.pop(name, None)
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel every task and wait for all of them."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        delay = self._first
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                await run()
                return
            except Exception as error:  # noqa: BLE001  the supervisor must survive whatever a task does
                if asyncio.get_running_loop().time() - begun > self._last:
                    delay = self._first
                if isinstance(error, NervError):
                    _log.warning("task %s: %s, next try in %.1f s", name, "; ".join(error.lines()), delay)
                else:
                    _log.exception("task %s failed, next try in %.1f s", name, delay)
            if self._on_failure:
                self._on_failure(name, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._last)
