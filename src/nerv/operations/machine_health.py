"""Waiting until a real cluster is healthy, through its kubeconfig, by the same Status as everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from nerv.deploy.waiting import Patience
from nerv.errors import NervError
from nerv.kube.errors import ApiError
from nerv.operations import collect, session
from nerv.operations.status import Status
from nerv.operations.target import Target

_SHOWN = 5


async def wait(cluster: Target, nodes: Sequence[str], patience: Patience, say: Callable[[str], None]) -> Status:
    """The status once it is healthy and `nodes` are Ready. Raises NervError with what is still waited for."""
    deadline = time.monotonic() + patience.health
    told: tuple[str, ...] = ()
    async with session.connect(cluster) as client:
        while True:
            try:
                status = await collect.collect(client, "", {}, server=cluster.server)
                lacking = missing(status, nodes)
            except ApiError as error:
                status, lacking = None, (f"the API server: {error.message}",)
            if status and not lacking:
                return status
            if time.monotonic() > deadline:
                raise NervError(
                    f"not healthy within {patience.health:.0f} s; still waiting for {'; '.join(lacking[:_SHOWN])}",
                    f"`nerv status --kubeconfig {cluster.kubeconfig}` shows all; the same command goes on",
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
