"""How much of each pool is given: the status of IPAddressPools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch, key_of
from nerv.controllers.services.context import Context
from nerv.controllers.services.load_balancer import allocation, resources
from nerv.controllers.services.load_balancer.pools import Pool, PoolError
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import SERVICES


def pool_status(context: Context) -> Controller:
    """The controller of pools' status."""
    running = Presence.of(context.informers, resources.CONTROLLER_IMAGE)
    reconciler = _Usage(context, running, context.informers.of(resources.POOLS), context.informers.of(SERVICES))
    watches = (
        Watch(reconciler.pools, required=False),
        Watch(reconciler.services, reconciler.service_changed),
        running.watch(reconciler.all_pools),
    )
    return Controller("metallb-pool-status", reconciler.reconcile, watches, concurrency=1, clock=context.clock)


@dataclass(frozen=True)
class _Usage:
    context: Context
    running: Presence
    pools: Informer
    services: Informer

    def all_pools(self) -> list[Key]:
        """Every pool."""
        return [key_of(each) for each in self.pools.list()]

    def service_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """All pools, once an address was given or given back."""
        before = allocation.current(old) if old is not None else ()
        after = allocation.current(new) if new is not None else ()
        return self.all_pools() if before != after else ()

    async def reconcile(self, key: Key) -> Outcome:
        """Count one pool."""
        obj = self.pools.get(key.namespace, key.name)
        if obj is None or self.running.leader() is None:
            return Done()
        try:
            pool = Pool.of(obj)
        except PoolError:
            return Done()
        status: Object = {}
        for version in (4, 6):
            given = self._given(pool, version)
            status[f"assignedIPv{version}"] = given
            status[f"availableIPv{version}"] = pool.size(version) - given
        await self.context.writer.status(resources.POOLS, obj, status)
        return Done()

    def _given(self, pool: Pool, version: int) -> int:
        """Distinct addresses: a shared one counts once."""
        return len(
            {
                address
                for service in self.services.list()
                if objects.annotations(service).get(resources.ALLOCATED_ANNOTATION) == pool.name
                for address in allocation.current(service)
                if address.version == version and pool.holds(address)
            }
        )
