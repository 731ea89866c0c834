"""The controller's main work: every Service of type LoadBalancer gets its addresses, or an event that says why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch, key_of
from nerv.controllers.services.context import Context
from nerv.controllers.services.load_balancer import allocation, resources
from nerv.controllers.services.load_balancer import pools as address_pools
from nerv.controllers.services.load_balancer.allocation import Allocator, Assignment, Refusal
from nerv.controllers.services.load_balancer.pools import Pool, PoolError
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import NAMESPACES, SERVICES


def service_allocation(context: Context) -> Controller:
    """The controller of Services. One worker: two Services must not choose one address."""
    running = Presence.of(context.informers, resources.CONTROLLER_IMAGE)
    reconciler = _Allocation(
        context,
        running,
        context.informers.of(SERVICES),
        context.informers.of(resources.POOLS),
        context.informers.of(NAMESPACES),
        context.recorder("metallb-controller"),
    )
    watches = (
        Watch(reconciler.services, reconciler.service_changed),
        Watch(reconciler.pools, lambda old, new: reconciler.all_balanced(), required=False),
        Watch(reconciler.namespaces, reconciler.namespace_changed),
        running.watch(reconciler.all_balanced),
    )
    return Controller("metallb-services", reconciler.reconcile, watches, concurrency=1, clock=context.clock)


@dataclass(frozen=True)
class _Allocation:
    context: Context
    running: Presence
    services: Informer
    pools: Informer
    namespaces: Informer
    recorder: EventRecorder

    def service_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The Service, and those that wait, once an address was given back."""
        obj = new if new is not None else old
        if obj is None:
            return ()
        freed = old is not None and allocation.current(old) and (new is None or not allocation.current(new))
        waiting = self.waiting() if freed else []
        return (key_of(obj), *waiting) if _is_balanced(old) or _is_balanced(new) else waiting

    def namespace_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """Pools may choose namespaces by their labels."""
        same = old is not None and new is not None and objects.labels(old) == objects.labels(new)
        return [] if same else self.waiting()

    def all_balanced(self) -> list[Key]:
        """Every Service of type LoadBalancer."""
        return [key_of(each) for each in self.services.list() if _is_balanced(each)]

    def waiting(self) -> list[Key]:
        """Those without an address."""
        balanced = (each for each in self.services.list() if _is_balanced(each))
        return [key_of(each) for each in balanced if not allocation.current(each)]

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one Service to its addresses."""
        pod = self.running.leader()
        service = self.services.get(key.namespace, key.name)
        if pod is None or service is None or not self._is_mine(service, pod):
            return Done()
        for old in resources.deprecated(dict(objects.annotations(service))):
            self.recorder.event(service, "Warning", "deprecatedAnnotation", f"Service uses deprecated annotation {old}")
        if service["spec"].get("type") != "LoadBalancer":
            await self._clear(service)
            return Done()
        pools = self._pools(objects.namespace(pod))
        if not pools or not service["spec"].get("clusterIP"):
            await self._clear(service)
            return Done()
        await self._converge(service, pools)
        return Done()

    def _is_mine(self, service: Object, pod: Object) -> bool:
        """Only Services of this very load balancer class, none by default (`--lb-class`)."""
        wanted = presence.option(pod, resources.CONTROLLER_IMAGE, "--lb-class")
        return (service["spec"].get("loadBalancerClass") or "") == wanted

    def _pools(self, namespace: str) -> list[Pool]:
        try:
            return address_pools.validate(self.pools.list(namespace))
        except PoolError:
            # the webhook keeps such pools out; with one that slipped in, MetalLB keeps its former configuration
            return []

    async def _converge(self, service: Object, pools: list[Pool]) -> None:
        allocator = Allocator(
            pools, self._holders(service), {objects.name(each): each for each in self.namespaces.list()}
        )
        present = allocation.current(service)
        if present:
            try:
                await self._write(service, allocator.keep(service))
                return
            except Refusal as error:
                text = f'current IP for "{objects.key(service)}" not allowed by config, will attempt for new IP'
                self.recorder.event(service, "Normal", "ClearAssignment", f"{text} assignment: {error}")
        try:
            assignment = allocator.assign(service)
        except Refusal as error:
            text = f'Failed to allocate IP for "{objects.key(service)}": {error}'
            self.recorder.event(service, "Warning", "AllocationFailed", text)
            await self._clear(service)
            return
        self.recorder.event(service, "Normal", "IPAllocated", f"Assigned IP {allocation.quoted(assignment.addresses)}")
        await self._write(service, assignment)

    def _holders(self, service: Object) -> list[allocation.Holder]:
        uid = objects.uid(service)
        return [
            allocation.holder(each)
            for each in self.services.list()
            if _is_balanced(each) and objects.uid(each) != uid and allocation.current(each)
        ]

    async def _write(self, service: Object, assignment: Assignment) -> None:
        mark = {resources.ALLOCATED_ANNOTATION: assignment.pool}
        if objects.annotations(service).get(resources.ALLOCATED_ANNOTATION) != assignment.pool:
            service = await self.context.writer.patch(SERVICES, service, {"metadata": {"annotations": mark}})
        ingress = [{"ip": str(each), "ipMode": "VIP"} for each in assignment.addresses]
        await self.context.writer.status(SERVICES, service, {**_status(service), "loadBalancer": {"ingress": ingress}})

    async def _clear(self, service: Object) -> None:
        """Take back what this controller gave."""
        if objects.annotations(service).get(resources.ALLOCATED_ANNOTATION):
            patch = {"metadata": {"annotations": {resources.ALLOCATED_ANNOTATION: None}}}
            service = await self.context.writer.patch(SERVICES, service, patch)
        if allocation.current(service):
            await self.context.writer.status(SERVICES, service, {**_status(service), "loadBalancer": {}})


def _is_balanced(service: Object | None) -> bool:
    """A Service that this controller gives addresses to, or once did."""
    if service is None:
        return False
    given = resources.ALLOCATED_ANNOTATION in objects.annotations(service)
    return service["spec"].get("type") == "LoadBalancer" or given


def _status(service: Object) -> Object:
    status: Object = service.get("status") or {}
    return status
