"""ReplicaSets and ReplicationControllers: as many active pods as asked for.

Behaviour of k8s.io/kubernetes/pkg/controller/replicaset 1.31. "Expectations" are not needed: the informers read our own
writes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nerv.controllers.kubernetes import claims, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.podcontrol import BURST, PodControl
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, RetryAfter, Watch
from nerv.kube import errors, objects, selectors
from nerv.kube.objects import Object
from nerv.kube.resources import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, Resource


def replica_sets(context: Context) -> Controller:
    """The controller of apps/v1 ReplicaSets."""
    return _controller(context, REPLICA_SETS, "replicaset-controller")


def replication_controllers(context: Context) -> Controller:
    """The controller of core/v1 ReplicationControllers."""
    return _controller(context, REPLICATION_CONTROLLERS, "replication-controller")


def _controller(context: Context, resource: Resource, component: str) -> Controller:
    owners = context.informers.of(resource)
    pod_informer = context.informers.of(PODS)
    reconciler = _Replicas(
        context, resource, owners, pod_informer, PodControl(context.writer, context.recorder(component))
    )
    watches = (
        Watch(owners),
        Watch(pod_informer, lambda old, new: claims.owner_keys(owners, resource.kind, old, new)),
    )
    return Controller(component, reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Replicas:
    context: Context
    resource: Resource
    owners: Informer
    pods: Informer
    control: PodControl

    async def reconcile(self, key: Key) -> Outcome:
        """Adopt and release pods, create or delete what is missing or too much, write the status."""
        owner = self.owners.get(key.namespace, key.name)
        if owner is None:
            return Done()
        mine = await self._claimed(owner)
        failure = None
        if not objects.deleting(owner):
            failure = await self._scale(owner, mine)
            mine = await self._claimed(owner) if len(mine) != owner["spec"].get("replicas", 1) else mine
        now = self.context.clock.now()
        seconds = owner["spec"].get("minReadySeconds", 0)
        await self.context.writer.status(self.resource, owner, self._status(owner, mine, failure))
        if failure is not None:
            raise failure
        wait = pods.next_available(mine, seconds, now)
        return RetryAfter(wait) if wait else Done()

    async def _claimed(self, owner: Object) -> list[Object]:
        candidates = [pod for pod in self.pods.list(objects.namespace(owner)) if pods.is_active(pod)]
        selector = claims.selector_of(owner)
        return await claims.claim(self.context.writer, self.resource, owner, PODS, selector, candidates)

    async def _scale(self, owner: Object, mine: list[Object]) -> errors.ApiError | None:
        """Create or delete pods until there are as many as asked for. Returns the first refusal."""
        missing = owner["spec"].get("replicas", 1) - len(mine)
        if missing > 0:
            template = owner["spec"]["template"]
            new = [pods.from_template(template, owner) for _ in range(min(missing, BURST))]
            return await self.control.create_all(owner, new)
        if missing < 0:
            surplus = pods.deletion_order(mine, self._siblings(owner))[: min(-missing, BURST)]
            return await self.control.delete_all(owner, surplus)
        return None

    def _siblings(self, owner: Object) -> Counter[str]:
        """Active pods per node of all owners that share this one's controller (the ReplicaSets of a Deployment)."""
        related = {objects.uid(owner)}
        parent = objects.controller_of(owner)
        if parent is not None:
            for other in self.owners.list(objects.namespace(owner)):
                if (objects.controller_of(other) or {}).get("uid") == parent["uid"]:
                    related.add(objects.uid(other))
        return Counter(
            pod["spec"].get("nodeName", "")
            for pod in self.pods.list(objects.namespace(owner))
            if pods.is_active(pod) and (objects.controller_of(pod) or {}).get("uid") in related
        )

    def _status(self, owner: Object, mine: list[Object], failure: errors.ApiError | None) -> Object:
        template = selectors.from_labels((owner["spec"]["template"].get("metadata") or {}).get("labels"))
        now = self.context.clock.now()
        seconds = owner["spec"].get("minReadySeconds", 0)
        counts = {
            "fullyLabeledReplicas": sum(template.matches(objects.labels(pod)) for pod in mine),
            "readyReplicas": sum(pods.is_ready(pod) for pod in mine),
            "availableReplicas": sum(pods.is_available(pod, seconds, now) for pod in mine),
        }
        status: Object = {"replicas": len(mine), **{name: count for name, count in counts.items() if count}}
        status["observedGeneration"] = objects.generation(owner)
        conditions = self._conditions(owner, len(mine), failure)
        if conditions:
            status["conditions"] = conditions
        return status

    def _conditions(self, owner: Object, count: int, failure: errors.ApiError | None) -> list[Object]:
        kept: list[Object] = owner.get("status", {}).get("conditions") or []
        if failure is None:
            return [each for each in kept if each["type"] != "ReplicaFailure"]
        if any(each["type"] == "ReplicaFailure" for each in kept):
            return kept
        reason = "FailedCreate" if count < owner["spec"].get("replicas", 1) else "FailedDelete"
        now = self.context.clock.now()
        return objects.set_condition(kept, "ReplicaFailure", "True", reason, failure.message, None, now)
