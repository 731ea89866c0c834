"""Claims of Longhorn's classes get volumes; volumes are grown, and removed as their reclaim policy says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch, key_of
from nerv.controllers.services.context import Context
from nerv.controllers.services.storage import resources, settings, volumes
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.quantity import binary, to_int
from nerv.kube.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES, Resource

_ANNOTATION = "volume.kubernetes.io/storage-provisioner"


def provisioner(context: Context) -> Controller:
    """The controller of claims (keys with a namespace) and volumes (keys without)."""
    informers = context.informers
    reconciler = _Provisioning(
        context,
        Presence.of(informers, resources.PROVISIONER_IMAGE),
        Presence.of(informers, resources.RESIZER_IMAGE),
        Presence.of(informers, resources.MANAGER_IMAGE, resources.is_daemon),
        informers.of(PERSISTENT_VOLUME_CLAIMS),
        informers.of(PERSISTENT_VOLUMES),
        informers.of(STORAGE_CLASSES),
        informers.of(resources.LONGHORN_VOLUMES),
        informers.of(resources.LONGHORN_NODES),
        informers.of(resources.SETTINGS),
        context.recorder(f"{resources.DRIVER}_csi-provisioner"),
    )
    watches = (
        Watch(reconciler.claims),
        Watch(reconciler.volumes),
        reconciler.provisioners.watch(reconciler.everything),
        reconciler.managers.watch(reconciler.everything),
        reconciler.resizers.watch(reconciler.everything),
    )
    return Controller("longhorn-provisioner", reconciler.reconcile, watches, clock=context.clock)


@dataclass(frozen=True)
class _Provisioning:
    context: Context
    provisioners: Presence
    resizers: Presence
    managers: Presence
    claims: Informer
    volumes: Informer
    classes: Informer
    longhorn: Informer
    nodes: Informer
    settings: Informer
    recorder: EventRecorder

    def everything(self) -> Iterable[Key]:
        """All claims and all volumes."""
        return [key_of(each) for each in (*self.claims.list(), *self.volumes.list())]

    async def reconcile(self, key: Key) -> Outcome:
        """One claim or one volume."""
        manager = self.managers.leader()
        if manager is None:
            return Done()
        space = objects.namespace(manager)
        if not key.namespace:
            volume = self.volumes.get(None, key.name)
            if volume is not None and self.provisioners.leader() is not None:
                await self._volume(volume, space)
            return Done()
        claim = self.claims.get(key.namespace, key.name)
        if claim is None or objects.deleting(claim):
            return Done()
        if claim["spec"].get("volumeName"):
            if self.resizers.leader() is not None:
                await self._expand(claim, space)
        elif objects.annotations(claim).get(_ANNOTATION) == resources.DRIVER and self.provisioners.leader() is not None:
            await self._provision(claim, space)
        return Done()

    async def _provision(self, claim: Object, space: str) -> None:
        storage_class = self.classes.get(None, claim["spec"].get("storageClassName") or "")
        if storage_class is None or storage_class.get("provisioner") != resources.DRIVER:
            return
        name = volumes.volume_name(claim)
        if self.volumes.get(None, name) is not None:
            return
        place = f'"{objects.key(claim)}"'
        text = f"External provisioner is provisioning volume for claim {place}"
        self.recorder.event(claim, "Normal", "Provisioning", text)
        problem = self._problem(claim, storage_class, space)
        if problem:
            text = f'failed to provision volume with StorageClass "{objects.name(storage_class)}": {problem}'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", text)
            return
        await asyncio.to_thread(self._folder, name)
        await self._longhorn(space, name, claim, storage_class.get("parameters") or {})
        await self._create(PERSISTENT_VOLUMES, volumes.persistent_volume(claim, storage_class), None)
        self.recorder.event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def _problem(self, claim: Object, storage_class: Object, space: str) -> str:
        """Why no replica could be placed: it would never become schedulable."""
        room = max((_room(each) for each in self.nodes.list(space)), default=0)
        size = volumes.size_of(claim)
        percent = int(settings.value(self.settings, space, "storage-over-provisioning-percentage") or 100)
        if size > room * percent // 100:
            return (
                "rpc error: code = ResourceExhausted desc = insufficient storage: "
                f"{size} bytes are wanted, the largest disk has {room * percent // 100} left"
            )
        if claim["spec"].get("dataSource"):
            return "rpc error: code = InvalidArgument desc = volume sources are not done on this machine"
        return ""

    def _folder(self, name: str) -> None:
        (self.context.config.claims / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    async def _longhorn(self, space: str, name: str, claim: Object, parameters: Object) -> None:
        image = settings.value(self.settings, space, "default-engine-image")
        wanted = volumes.longhorn_volume(space, name, volumes.size_of(claim), parameters, claim, image)
        volume = await self._create(resources.LONGHORN_VOLUMES, wanted, space)
        await self._create(resources.ENGINES, volumes.engine(volume, image), space)
        nodes = sorted(objects.name(each) for each in self.nodes.list(space) if each["spec"].get("allowScheduling"))
        for replica in volumes.replicas(volume, image, nodes):
            await self._create(resources.REPLICAS, replica, space)

    async def _expand(self, claim: Object, space: str) -> None:
        volume = self.volumes.get(None, claim["spec"]["volumeName"])
        if volume is None or (volume["spec"].get("csi") or {}).get("driver") != resources.DRIVER:
            return
        size = volumes.size_of(claim)
        if size > to_int(volume["spec"]["capacity"]["storage"]):
            handle = volume["spec"]["csi"]["volumeHandle"]
            text = f"External resizer is resizing volume {objects.name(volume)}"
            self.recorder.event(claim, "Normal", "Resizing", text)
            found = self.longhorn.get(space, handle)
            if found is not None:
                await self.context.writer.patch(resources.LONGHORN_VOLUMES, found, {"spec": {"size": str(size)}})
            for resource in (resources.ENGINES, resources.REPLICAS):
                for part in self.context.informers.of(resource).list(space):
                    if part["spec"].get("volumeName") == handle:
                        await self.context.writer.patch(resource, part, {"spec": {"volumeSize": str(size)}})
            capacity = {"spec": {"capacity": {"storage": binary(size)}}}
            volume = await self.context.writer.patch(PERSISTENT_VOLUMES, volume, capacity)
        status = claim.get("status") or {}
        now = volume["spec"]["capacity"]["storage"]
        if status.get("phase") == "Bound" and to_int((status.get("capacity") or {}).get("storage") or 0) < to_int(now):
            conditions = [each for each in status.get("conditions") or [] if "Resiz" not in each["type"]]
            grown = {**status, "capacity": {"storage": now}, "conditions": conditions}
            await self.context.writer.status(PERSISTENT_VOLUME_CLAIMS, claim, grown)
            text = "MountVolume.NodeExpandVolume succeeded for volume"
            self.recorder.event(claim, "Normal", "FileSystemResizeSuccessful", text)

    async def _volume(self, volume: Object, space: str) -> None:
        """Remove a released volume whose policy is Delete; let go of one that is being deleted."""
        if (volume["spec"].get("csi") or {}).get("driver") != resources.DRIVER:
            return
        deletes = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        released = (volume.get("status") or {}).get("phase") == "Released"
        if not (released and deletes) and not objects.deleting(volume):
            return
        if deletes and objects.annotations(volume).get(volumes.PROVISIONED_BY) == resources.DRIVER:
            await self._remove(space, volume["spec"]["csi"]["volumeHandle"])
        if objects.finalizers(volume):
            kept = [each for each in objects.finalizers(volume) if not each.startswith("external-provisioner.")]
            volume = await self.context.writer.patch(PERSISTENT_VOLUMES, volume, {"metadata": {"finalizers": kept}})
        await self.context.writer.delete(PERSISTENT_VOLUMES, volume)

    async def _remove(self, space: str, handle: str) -> None:
        """Longhorn's objects, then the data."""
        for resource in (resources.REPLICAS, resources.ENGINES):
            for part in self.context.informers.of(resource).list(space):
                if part["spec"].get("volumeName") == handle:
                    await self.context.writer.delete(resource, part)
        found = self.longhorn.get(space, handle)
        if found is not None:
            freed = await self.context.writer.patch(
                resources.LONGHORN_VOLUMES, found, {"metadata": {"finalizers": None}}
            )
            await self.context.writer.delete(resources.LONGHORN_VOLUMES, freed)
        folder = self.context.config.claims / handle
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _create(self, resource: Resource, obj: Object, space: str | None) -> Object:
        try:
            created = await self.context.writer.create(resource, obj, space)
        except errors.AlreadyExists:
            created = await self.context.client.get(resource, objects.name(obj), space)
        return {"apiVersion": resource.api_version, "kind": resource.kind, **created}


def _room(node: Object) -> int:
    disks = ((node.get("status") or {}).get("diskStatus") or {}).values()
    return sum(int(each.get("storageAvailable") or 0) - int(each.get("storageScheduled") or 0) for each in disks)
