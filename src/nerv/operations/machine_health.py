"""Waiting until a real cluster is healthy, through its kubeconfig, by the same Status as everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nerv.components.catalog import Platform
from nerv.deploy.waiting import Patience
from nerv.errors import NervError
from nerv.kube.errors import ApiError
from nerv.operations import collect, session
from nerv.operations.status import Status

_SHOWN = 5


async def wait(
    kubeconfig: Path, platform: Platform, nodes: Sequence[str], patience: Patience, say: Callable[[str], None]
) -> Status:
    """The status once it is healthy and `nodes` are Ready. Raises NervError with what is still waited for."""
    deadline = time.monotonic() + patience.health
    told: tuple[str, ...] = ()
    async with session.connect(kubeconfig, platform.name) as client:
        while True:
            try:
                status = await collect.collect(client, platform.name, "k3s", {})
                lacking = missing(status, nodes)
            except ApiError as error:
                status, lacking = None, (f"the API server: {error.message}",)
            if status and not lacking:
                return status
            if time.monotonic() > deadline:
                raise NervError(
                    f"not healthy within {patience.health:.0f} s; still waiting for {'; '.join(lacking[:_SHOWN])}",
                    f"`nerv status --kubeconfig {kubeconfig}` shows everything; the same command goes on waiting",
                )
            if lacking[:_SHOWN] != told:
                told = lacking[:_SHOWN]
                more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
                say(f"waiting for {'; '.join(told)}{more}")
            await asyncio.sleep(patience.between)


def missing(status: Status, nodes: Sequence[str]) -> tuple[str, ...]:
    """What keeps a status from being healthy, `nodes` included; empty when nothing does."""
    known = {name for name, _ in status.nodes}
    absent = [f"Node {name}: not registered yet" for name in nodes if name not in known]
    waits = status.waiting()
    if not absent and not waits and not status.healthy:
        return ("Flux: nothing is reconciled yet",)
    return (*absent, *waits)
