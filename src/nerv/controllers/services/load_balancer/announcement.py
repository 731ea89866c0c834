"""What the speakers do in layer 2 mode: for each address one node is chosen and says so.

Rules of speaker/layer2_controller.go of MetalLB 0.15.2. Nothing is sent on a network here: the platform's own network
answers at every address that a Service has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch, key_of
from nerv.controllers.services.context import Context
from nerv.controllers.services.load_balancer import allocation, resources
from nerv.controllers.services.load_balancer.pools import Address
from nerv.kube import objects, selectors
from nerv.kube.objects import Object
from nerv.kube.resources import ENDPOINT_SLICES, NODES, SERVICES

NODE_LABEL = f"{resources.GROUP}/node"
NAME_LABEL = f"{resources.GROUP}/service-name"
NAMESPACE_LABEL = f"{resources.GROUP}/service-namespace"
_EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
_SERVICE_LABEL = "kubernetes.io/service-name"


def announcements(context: Context) -> Controller:
    """The controller that chooses announcing nodes."""
    running = Presence.of(context.informers, resources.SPEAKER_IMAGE)
    informers = context.informers
    reconciler = _Announcement(
        context,
        running,
        informers.of(SERVICES),
        informers.of(ENDPOINT_SLICES),
        informers.of(NODES),
        informers.of(resources.POOLS),
        informers.of(resources.L2_ADVERTISEMENTS),
        informers.of(resources.L2_STATUSES),
        context.recorder("metallb-speaker"),
    )
    watches = (
        Watch(reconciler.services),
        Watch(reconciler.slices, _slice_changed),
        Watch(reconciler.advertisements, lambda old, new: reconciler.all_balanced(), required=False),
        Watch(reconciler.statuses, _status_changed, required=False),
        running.watch(reconciler.all_balanced),
    )
    return Controller("metallb-announcements", reconciler.reconcile, watches, clock=context.clock)


def _slice_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    obj = new if new is not None else old
    name = objects.labels(obj).get(_SERVICE_LABEL) if obj is not None else None
    return [Key(objects.namespace(obj), name)] if obj is not None and name else ()


def _status_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    obj = new if new is not None else old
    labels = objects.labels(obj) if obj is not None else {}
    return [Key(labels[NAMESPACE_LABEL], labels[NAME_LABEL])] if NAME_LABEL in labels else ()


@dataclass(frozen=True)
class _Announcement:
    context: Context
    running: Presence
    services: Informer
    slices: Informer
    nodes: Informer
    pools: Informer
    advertisements: Informer
    statuses: Informer
    recorder: EventRecorder

    def all_balanced(self) -> list[Key]:
        """Every Service with an address."""
        return [key_of(each) for each in self.services.list() if allocation.current(each)]

    async def reconcile(self, key: Key) -> Outcome:
        """Choose the node of one Service and keep its ServiceL2Status."""
        service = self.services.get(key.namespace, key.name)
        present = [
            each
            for each in self.statuses.list()
            if (objects.labels(each).get(NAMESPACE_LABEL), objects.labels(each).get(NAME_LABEL)) == key
        ]
        speakers = {each["spec"]["nodeName"]: each for each in self.running.ready()}
        if not speakers:
            return Done()
        node = self._node(service, speakers) if service is not None else None
        for status in present:
            if node is None or objects.labels(status).get(NODE_LABEL) != node:
                await self.context.writer.delete(resources.L2_STATUSES, status)
        announced = any(objects.labels(each).get(NODE_LABEL) == node for each in present)
        if service is not None and node is not None and not announced:
            await self._announce(service, node, speakers[node])
        return Done()

    def _node(self, service: Object, speakers: dict[str, Object]) -> str | None:
        addresses = allocation.current(service)
        pool = objects.annotations(service).get(resources.ALLOCATED_ANNOTATION)
        endpoints = self._endpoints(service)
        if not addresses or not pool or not endpoints:
            return None
        space = objects.namespace(next(iter(speakers.values())))
        local = service["spec"].get("externalTrafficPolicy") == "Local"
        candidates = [
            name for name in speakers if self._may_announce(space, pool, name) and (not local or name in endpoints)
        ]
        # the same order on every node, another one for each address
        return min(candidates, key=lambda name: _order(name, addresses[0]), default=None)

    def _endpoints(self, service: Object) -> set[str]:
        """Nodes with a serving endpoint; endpoints without a node count as an unnamed one."""
        found = set()
        for part in self.slices.list(objects.namespace(service)):
            if objects.labels(part).get(_SERVICE_LABEL) == objects.name(service):
                for endpoint in part.get("endpoints") or []:
                    if (endpoint.get("conditions") or {}).get("ready") is not False:
                        found.add(endpoint.get("nodeName") or "")
        return found

    def _may_announce(self, space: str, pool: str, node_name: str) -> bool:
        node = self.nodes.get(None, node_name)
        if node is None or _EXCLUDED in objects.labels(node):
            return False
        return any(
            self._matches_pool(each["spec"] if each.get("spec") else {}, space, pool)
            and _matches_node(each.get("spec") or {}, node)
            for each in self.advertisements.list(space)
        )

    def _matches_pool(self, spec: Object, space: str, name: str) -> bool:
        names, by_label = spec.get("ipAddressPools") or [], spec.get("ipAddressPoolSelectors") or []
        if not names and not by_label:
            return True
        if name in names:
            return True
        pool = self.pools.get(space, name)
        return pool is not None and any(selectors.from_object(each).matches(objects.labels(pool)) for each in by_label)

    async def _announce(self, service: Object, node: str, speaker: Object) -> None:
        text = f'announcing from node "{node}" with protocol "layer2"'
        self.recorder.event(service, "Normal", "nodeAssigned", text)
        space = objects.namespace(speaker)
        labels = {NODE_LABEL: node, NAME_LABEL: objects.name(service), NAMESPACE_LABEL: objects.namespace(service)}
        owner = objects.owner_reference({"apiVersion": "v1", "kind": "Pod", **speaker}, controller=False)
        status = {
            "apiVersion": resources.L2_STATUSES.api_version,
            "kind": resources.L2_STATUSES.kind,
            "metadata": {"generateName": "l2-", "namespace": space, "labels": labels, "ownerReferences": [owner]},
        }
        created = await self.context.writer.create(resources.L2_STATUSES, status, space)
        told = {"node": node, "serviceName": objects.name(service), "serviceNamespace": objects.namespace(service)}
        await self.context.writer.status(resources.L2_STATUSES, created, told)


def _order(node: str, address: Address) -> bytes:
    return hashlib.sha256(f"{node}#{address}".encode()).digest()


def _matches_node(spec: Object, node: Object) -> bool:
    wanted = spec.get("nodeSelectors") or []
    return not wanted or any(selectors.from_object(each).matches(objects.labels(node)) for each in wanted)
