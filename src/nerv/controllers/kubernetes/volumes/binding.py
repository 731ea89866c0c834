"""Claims and volumes find each other: phases, both references, announcing a claim to its provisioner.

Behaviour of k8s.io/kubernetes/pkg/controller/volume/persistentvolume 1.31. Making and removing a volume is the work of
the provisioner that the StorageClass names. Keys without a namespace are volumes, others are claims.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.volumes import matching
from nerv.controllers.kubernetes.volumes.scheduling import SELECTED_NODE
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch, key_of
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"


def persistent_volumes(context: Context) -> Controller:
    """The controller that binds claims and volumes."""
    claims = context.informers.of(PERSISTENT_VOLUME_CLAIMS)
    volumes = context.informers.of(PERSISTENT_VOLUMES)
    classes = context.informers.of(STORAGE_CLASSES)
    nodes = context.informers.of(NODES)
    recorder = context.recorder("persistentvolume-controller")
    reconciler = _Binder(context, claims, volumes, classes, nodes, recorder)
    watches = (
        Watch(claims, reconciler.claim_changed),
        Watch(volumes, reconciler.volume_changed),
        Watch(classes, lambda old, new: reconciler.unbound_claims()),
    )
    # one worker: two claims must not choose one volume
    return Controller("persistentvolume-binder", reconciler.reconcile, watches, concurrency=1, clock=context.clock)


@dataclass(frozen=True)
class _Binder:
    context: Context
    claims: Informer
    volumes: Informer
    classes: Informer
    nodes: Informer
    recorder: EventRecorder

    def claim_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The claim, and its volume once it is gone."""
        obj = new if new is not None else old
        if obj is None:
            return ()
        name = obj["spec"].get("volumeName")
        return (key_of(obj), *([Key("", name)] if name else []))

    def volume_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The volume, its claim, and, while it is free, all claims that wait."""
        obj = new if new is not None else old
        if obj is None:
            return ()
        reference = obj["spec"].get("claimRef")
        if reference:
            return (key_of(obj), Key(reference.get("namespace", ""), reference["name"]))
        return (key_of(obj), *self.unbound_claims())

    def unbound_claims(self) -> list[Key]:
        """The claims that wait for a volume."""
        return [key_of(each) for each in self.claims.list() if each.get("status", {}).get("phase") != "Bound"]

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one claim or volume a step further."""
        if not key.namespace:
            volume = self.volumes.get(None, key.name)
            if volume is not None:
                await self._volume(volume)
            return Done()
        claim = self.claims.get(key.namespace, key.name)
        if claim is None or objects.deleting(claim):
            return Done()
        if objects.annotations(claim).get(BIND_COMPLETED):
            await self._bound_claim(claim)
        else:
            await self._unbound_claim(claim)
        return Done()

    async def _bound_claim(self, claim: Object) -> None:
        volume = self.volumes.get(None, claim["spec"].get("volumeName", ""))
        if volume is None or not matching.is_claimed_by(volume, claim):
            if volume is not None and not volume["spec"].get("claimRef"):
                await self._bind(claim, volume)
                return
            reason = ("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
            if volume is not None:
                reason = (
                    "ClaimMisbound",
                    "Two claims are bound to the same volume, this one is bound incorrectly",
                )
            await self._phase(claim, "Lost", reason)
            return
        await self._bind(claim, volume)

    async def _unbound_claim(self, claim: Object) -> None:
        named = claim["spec"].get("volumeName")
        if named:
            await self._named_claim(claim, named)
            return
        claim = await self._with_default_class(claim)
        storage_class = self.classes.get(None, matching.storage_class(claim))
        waits = storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        node = self.nodes.get(None, objects.annotations(claim).get(SELECTED_NODE, ""))
        reserved = [each for each in self.volumes.list() if matching.is_claimed_by(each, claim)]
        if waits and node is None and not reserved:
            await self._pending(claim)
            text = "waiting for first consumer to be created before binding"
            self.recorder.event(claim, "Normal", "WaitForFirstConsumer", text)
            return
        volume = matching.best(claim, reserved or self.volumes.list(), node)
        if volume is not None:
            await self._bind(claim, volume)
        else:
            await self._announce(claim, storage_class)

    async def _named_claim(self, claim: Object, name: str) -> None:
        volume = self.volumes.get(None, name)
        if volume is None:
            await self._pending(claim)
        elif not volume["spec"].get("claimRef") or matching.is_claimed_by(volume, claim):
            problem = matching.problem(claim, volume)
            if problem and not volume["spec"].get("claimRef"):
                text = f'Cannot bind to requested volume "{name}": {problem}'
                self.recorder.event(claim, "Warning", "VolumeMismatch", text)
                await self._pending(claim)
            else:
                await self._bind(claim, volume)
        else:
            await self._pending(claim)
            text = f'volume "{name}" already bound to a different claim.'
            self.recorder.event(claim, "Warning", "FailedBinding", text)

    async def _with_default_class(self, claim: Object) -> Object:
        """A claim that names no class gets the default one, also when that appears later."""
        if claim["spec"].get("storageClassName") is not None or matching.storage_class(claim):
            return claim
        defaults = [each for each in self.classes.list() if objects.annotations(each).get(_DEFAULT_CLASS) == "true"]
        if not defaults:
            return claim
        newest = max(defaults, key=lambda each: (each["metadata"].get("creationTimestamp", ""), objects.name(each)))
        patch = {"spec": {"storageClassName": objects.name(newest)}}
        return await self.context.writer.patch(PERSISTENT_VOLUME_CLAIMS, claim, patch)

    async def _announce(self, claim: Object, storage_class: Object | None) -> None:
        """Nothing fits: say so, and name the provisioner that may make a volume."""
        name = matching.storage_class(claim)
        if not name:
            text = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(claim, "Normal", "FailedBinding", text)
        elif storage_class is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", text)
        elif storage_class["provisioner"] != _NO_PROVISIONER:
            provisioner = storage_class["provisioner"]
            wanted = dict.fromkeys(_PROVISIONERS, provisioner)
            if any(objects.annotations(claim).get(key) != value for key, value in wanted.items()):
                patch = {"metadata": {"annotations": wanted}}
                claim = await self.context.writer.patch(PERSISTENT_VOLUME_CLAIMS, claim, patch)
            text = (
                "Waiting for a volume to be created either by the external provisioner "
                f"'{provisioner}' or manually by the system administrator. If volume creation is delayed, please "
                "verify that the provisioner is running and correctly registered."
            )
            self.recorder.event(claim, "Normal", "ExternalProvisioning", text)
        await self._pending(claim)

    async def _bind(self, claim: Object, volume: Object) -> None:
        """Both references, then both phases, each written where it is missing."""
        reference = volume["spec"].get("claimRef") or {}
        if reference.get("uid") != objects.uid(claim):
            spec = {
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": objects.namespace(claim),
                    "name": objects.name(claim),
                    "uid": objects.uid(claim),
                    "resourceVersion": objects.resource_version(claim),
                }
            }
            patch: Object = {"spec": spec}
            if not reference:
                patch["metadata"] = {"annotations": {BOUND_BY_CONTROLLER: "yes"}}
            patch.setdefault("metadata", {})["resourceVersion"] = objects.resource_version(volume)
            volume = await self.context.writer.patch(PERSISTENT_VOLUMES, volume, patch)
        await self._volume_phase(volume, "Bound")
        if claim["spec"].get("volumeName") != objects.name(volume) or not objects.annotations(claim).get(
            BIND_COMPLETED
        ):
            annotations = {BIND_COMPLETED: "yes"}
            if not claim["spec"].get("volumeName"):
                annotations[BOUND_BY_CONTROLLER] = "yes"
            patch = {"metadata": {"annotations": annotations}, "spec": {"volumeName": objects.name(volume)}}
            claim = await self.context.writer.patch(PERSISTENT_VOLUME_CLAIMS, claim, patch)
        present = claim.get("status", {})
        status = {**present, "phase": "Bound"}
        status["accessModes"] = volume["spec"].get("accessModes") or []
        if present.get("phase") != "Bound":
            status["capacity"] = volume["spec"].get("capacity") or {}
        await self.context.writer.status(PERSISTENT_VOLUME_CLAIMS, claim, status)

    async def _pending(self, claim: Object) -> None:
        await self._phase(claim, "Pending", None)

    async def _phase(self, claim: Object, phase: str, event: tuple[str, str] | None) -> None:
        status = claim.get("status", {})
        if status.get("phase") == phase:
            return
        kept = {name: value for name, value in status.items() if name not in ("accessModes", "capacity")}
        await self.context.writer.status(PERSISTENT_VOLUME_CLAIMS, claim, {**kept, "phase": phase})
        if event is not None:
            self.recorder.event(claim, "Warning", *event)

    async def _volume(self, volume: Object) -> None:
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):
            await self._volume_phase(volume, "Available")
            return
        claim = self.claims.get(reference.get("namespace", ""), reference["name"])
        if claim is None or objects.uid(claim) != reference["uid"]:
            # the reclaim policy Delete is carried out by the provisioner, which watches for this phase
            await self._volume_phase(volume, "Released")
        elif claim["spec"].get("volumeName") == objects.name(volume):
            await self._volume_phase(volume, "Bound")

    async def _volume_phase(self, volume: Object, phase: str) -> None:
        status = volume.get("status", {})
        if status.get("phase") != phase:
            moved = {"phase": phase, "lastPhaseTransitionTime": self.context.timestamp()}
            await self.context.writer.status(PERSISTENT_VOLUMES, volume, {**status, **moved})
