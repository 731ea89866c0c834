"""The work of the platform's add-ons on the API: MetalLB, cert-manager, Longhorn.

Belongs here: what their controllers, webhooks and hook Jobs do, with their own wording. Not: what their charts bring
(components/*/standin), where packets go (network/), what pods are (node/). A component works only while its pods are
ready, because its work is theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from nerv.controllers.runtime import Controller, Informers
from nerv.controllers.services import certificates, load_balancer, storage
from nerv.controllers.services.certificates import check
from nerv.controllers.services.certificates.resources import CHECK_IMAGE
from nerv.controllers.services.context import Context, ServicesConfig
from nerv.controllers.services.storage import programs as storage_programs
from nerv.controllers.services.storage.resources import MANAGER_IMAGE
from nerv.kube.client import Client
from nerv.kube.objects import Object

__all__ = ["Container", "Program", "ServicesConfig", "controllers", "programs"]


class Container(Protocol):
    """What a program is told of the container that it is."""

    @property
    def pod(self) -> Object:
        """The pod, as the API has it."""
        ...

    @property
    def arguments(self) -> tuple[str, ...]:
        """The container's arguments."""
        ...

    @property
    def log(self) -> Callable[[str], None]:
        """Writes a line to the container's log."""
        ...


Program = Callable[[Container], Awaitable[int]]
"""Work that is a container's: its result is the exit code."""


def controllers(client: Client, informers: Informers, config: ServicesConfig) -> tuple[Controller, ...]:
    """Every controller of every add-on. Must be called inside the running event loop."""
    return (
        *load_balancer.controllers(Context.named(client, informers, config, "metallb")),
        *certificates.controllers(Context.named(client, informers, config, "cert-manager")),
        *storage.controllers(Context.named(client, informers, config, "longhorn-manager")),
    )


def programs(config: ServicesConfig) -> Mapping[str, Program]:
    """Programs by image name (`folder/name`); the pods of every other image of these add-ons need none."""

    async def start_up_check(container: Container) -> int:
        return await check.run(config.client_for, container.pod, container.arguments, container.log)

    async def longhorn_manager(container: Container) -> int:
        return await storage_programs.run(config.client_for, container.pod, container.arguments, container.log)

    return {CHECK_IMAGE: start_up_check, MANAGER_IMAGE: longhorn_manager}
