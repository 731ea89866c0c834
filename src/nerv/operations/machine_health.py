"""Waiting until a real cluster is healthy, through its kubeconfig, by the same Status as everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from nerv.deploy.upgrade import Member
from nerv.deploy.waiting import Patience
from nerv.errors import NervError
from nerv.kube.errors import ApiError
from nerv.kube.resources import NODES
from nerv.operations import collect, session
from nerv.operations.status import Status
from nerv.operations.target import Target

_SHOWN = 5


async def wait(cluster: Target, nodes: Sequence[str], patience: Patience, say: Callable[[str], None]) -> Status:
    """The status once it is healthy and `nodes` are Ready. Raises NervError with what is still waited for."""
    deadline = time.monotonic() + patience.health
    told: tuple[str, ...] = ()
    within = f" within {patience.health:.0f} s" if patience.health else ""
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
                    f"not healthy{within}: {'; '.join(lacking[:_SHOWN])}",
                    f"`nerv status --kubeconfig {cluster.kubeconfig}` shows all; the same command goes on",
                )
            if lacking[:_SHOWN] != told:
                told = lacking[:_SHOWN]
                more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
                say(f"waiting for {'; '.join(told)}{more}")
            await asyncio.sleep(patience.between)


async def node_ready(cluster: Target, node: str, patience: Patience, say: Callable[[str], None]) -> None:
    """Return when one node is Ready, whatever else is not. Raises NervError."""
    deadline = time.monotonic() + patience.join
    last = "the API server does not answer"
    async with session.connect(cluster) as client:
        while time.monotonic() < deadline:
            try:
                found = Member.from_object(await client.get(NODES, node))
            except ApiError as error:
                last = error.message
            else:
                if found.ready:
                    return
                last = f"Node {node}: not ready"
            await asyncio.sleep(patience.between)
    raise NervError(f"{node} is not Ready within {patience.join:.0f} s: {last}", "`nerv status` shows more")


def missing(status: Status, nodes: Sequence[str]) -> tuple[str, ...]:
    """What keeps a status from being healthy, `nodes` included; empty when nothing does."""
    known = {name for name, _ in status.nodes}
    absent = [f"Node {name}: not registered yet" for name in nodes if name not in known]
    waits = status.waiting()
    if not absent and not waits and not status.healthy:
        return ("Flux: nothing is reconciled yet",)
    return (*absent, *waits)
