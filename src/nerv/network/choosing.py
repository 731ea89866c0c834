"""Which driver the cluster's network has on this machine: the one that is asked for, else what can be had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from nerv.errors import NervError
from nerv.network.driver import Network, NetworkConfig
from nerv.network.namespaces import NamespaceNetwork
from nerv.network.proxy import ProxyNetwork

DriverName = Literal["namespaces", "proxy"]


@dataclass(frozen=True)
class Choice:
    """A driver and why it was taken ("" when nothing has to be said)."""

    driver: DriverName
    why: str = ""


async def choose(
    wanted: DriverName | None, available: Callable[[], Awaitable[str]] = NamespaceNetwork.available
) -> Choice:
    """The driver to use. Raises NervError when namespaces are asked for and refused."""
    if wanted == "proxy":
        return Choice("proxy", "asked for")
    refused = await available()
    if not refused:
        return Choice("namespaces")
    if wanted == "namespaces":
        raise NervError(refused, "`--network proxy` does without, with gaps")
    return Choice("proxy", refused)


def make(driver: DriverName, config: NetworkConfig) -> Network:
    """The network, not started."""
    return ProxyNetwork(config) if driver == "proxy" else NamespaceNetwork(config)
