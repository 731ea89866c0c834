"""Finalizers that keep a claim while a pod uses it, and a volume while it is bound.

Behaviour of k8s.io/kubernetes/pkg/controller/volume/{pvcprotection,pvprotection} 1.31.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes import pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.volumes.scheduling import claim_names
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, Resource

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"


def claim_protection(context: Context) -> Controller:
    """Lets a claim that is being deleted go when no running pod uses it."""
    claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
    pod_informer = context.informers.of(PODS)

    def used(claim: Object) -> bool:
        return any(
            pod["spec"].get("nodeName") and not pods.is_finished(pod) and objects.name(claim) in claim_names(pod)
            for pod in pod_informer.list(objects.namespace(claim))
        )

    reconciler = _Protection(context, PERSISTENT_VOLUME_CLAIMS, claims, CLAIM_FINALIZER, used)
    watches = (Watch(claims), Watch(pod_informer, _claims_of))
    return Controller("pvc-protection-controller", reconciler.reconcile, watches, clock=context.clock)


def volume_protection(context: Context) -> Controller:
    """Lets a volume that is being deleted go when it is not bound."""
    volumes = context.informers.of(PERSISTENT_VOLUMES)

    def used(volume: Object) -> bool:
        return bool(volume.get("status", {}).get("phase") == "Bound")

    reconciler = _Protection(context, PERSISTENT_VOLUMES, volumes, VOLUME_FINALIZER, used)
    return Controller("pv-protection-controller", reconciler.reconcile, (Watch(volumes),), clock=context.clock)


def _claims_of(old: Object | None, new: Object | None) -> Iterable[Key]:
    pod = new if new is not None else old
    if pod is None or (new is not None and not pods.is_finished(new)):
        return ()
    return [Key(objects.namespace(pod), name) for name in claim_names(pod)]


@dataclass(frozen=True)
class _Protection:
    context: Context
    resource: Resource
    informer: Informer
    finalizer: str
    used: Callable[[Object], bool]

    async def reconcile(self, key: Key) -> Outcome:
        """Put the finalizer on, or take it off what is being deleted and not used."""
        obj = self.informer.get(key.namespace, key.name)
        if obj is None:
            return Done()
        present = [*objects.finalizers(obj)]
        if not objects.deleting(obj):
            wanted = present if self.finalizer in present else [*present, self.finalizer]
        elif self.finalizer in present and not self.used(obj):
            wanted = [each for each in present if each != self.finalizer]
        else:
            wanted = present
        if wanted != present:
            pinned = {"resourceVersion": objects.resource_version(obj), "finalizers": wanted or None}
            await self.context.writer.patch(self.resource, obj, {"metadata": pinned})
        return Done()
