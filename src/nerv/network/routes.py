"""The table of what is reached at which cluster address. Pure; used by the driver and inside the relay.

A target is either an address inside the cluster's network or a unix socket outside of it. Targets may name another
entry of the table (a Service leads to a pod's address, which leads to a socket of NERV), so look-ups follow them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

MAX_HOPS = 4
"""A Service leads to a pod and a pod to a socket: two. More is a loop."""


class Inside(NamedTuple):
    """A TCP listener inside the cluster's network."""

    address: str
    port: int


class Outside(NamedTuple):
    """A unix socket of a process outside of the cluster's network."""

    path: str


Target = Inside | Outside


class Route(NamedTuple):
    """What connections to `address`:`port` are joined to; without targets they are refused. `protocol` TCP alone."""

    address: str
    port: int
    targets: tuple[Target, ...] = ()
    protocol: str = "TCP"


Table = Mapping[tuple[str, int], Sequence[Target]]


def table(routes: Iterable[Route]) -> dict[tuple[str, int], tuple[Target, ...]]:
    """The routes by address and port; of two for one place the later counts."""
    return {(route.address, route.port): route.targets for route in routes if route.protocol == "TCP"}


def resolve(routes: Table, address: str, port: int, turn: int = 0) -> list[Target]:
    """The final targets of a connection in the order to try them, starting with the `turn`-th of each list.

    An address that the table does not know is its own target: a pod listens there itself.
    """
    return list(_resolve(routes, Inside(address, port), turn, MAX_HOPS))


def _resolve(routes: Table, target: Target, turn: int, hops: int) -> Iterable[Target]:
    if isinstance(target, Outside):
        yield target
        return
    targets = routes.get((target.address, target.port))
    if targets is None:
        yield target
        return
    for step in range(len(targets) if hops else 0):
        yield from _resolve(routes, targets[(turn + step) % len(targets)], turn, hops - 1)


def encode(route: Route) -> list[Any]:
    """As JSON for the relay."""
    return [route.address, route.port, [list(target) for target in route.targets]]


def decode(value: Sequence[Any]) -> Route:
    """The inverse of `encode`."""
    address, port, targets = value
    return Route(address, port, tuple(Outside(*target) if len(target) == 1 else Inside(*target) for target in targets))
