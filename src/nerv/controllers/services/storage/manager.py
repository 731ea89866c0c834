"""What longhorn-manager makes and keeps at run time: settings, nodes, engine image, instance managers, backup target,
StorageClasses, and the labels by which Services find its servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass

from nerv import documents
from nerv.controllers import presence
from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, Watch
from nerv.controllers.runtime.controller import Map
from nerv.controllers.services.context import Context
from nerv.controllers.services.storage import defaults, manifests, resources, settings
from nerv.controllers.services.storage.defaults import Setting
from nerv.controllers.services.storage.endpoints import Admission
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.quantity import to_int
from nerv.kube.resources import CONFIG_MAPS, DAEMON_SETS, NODES, PODS, STORAGE_CLASSES, Resource

_KEY = Key("", "manager")
_DEFAULTS = "longhorn-default-setting"
_RESOURCES = "longhorn-default-resource"
_CLASS = "longhorn-storageclass"
_SMALLEST = 64 << 30
_AT_ONCE = 8
_APPLIED_VERSION = f"{resources.GROUP}/configmap-resource-version"
_IMAGES = ("engine", "instance-manager", "share-manager", "backing-image-manager", "support-bundle-manager")


def run_time_objects(context: Context) -> Controller:
    """The controller of everything that exists once, or once on each node."""
    informers = context.informers
    running = Presence.of(informers, resources.MANAGER_IMAGE, resources.is_daemon)
    reconciler = _Manager(
        context,
        running,
        informers.of(CONFIG_MAPS),
        informers.of(NODES),
        informers.of(PODS),
        informers.of(DAEMON_SETS),
        informers.of(STORAGE_CLASSES),
        {each.plural: informers.of(each) for each in resources.ALL},
        Admission.of(informers),
    )
    watches = (
        running.watch(lambda: (_KEY,)),
        reconciler.admission.watch(lambda: (_KEY,)),
        Watch(reconciler.config_maps, _named(_DEFAULTS, _CLASS, _RESOURCES)),
        Watch(reconciler.nodes, _appears),
        Watch(reconciler.pods, _system_pod),
        Watch(reconciler.workloads, _named_like("engine-image-")),
        *(
            Watch(each, lambda old, new: (_KEY,) if new is None else (), required=False)
            for each in reconciler.own.values()
        ),
    )
    return Controller("longhorn-manager", reconciler.reconcile, watches, concurrency=1, clock=context.clock)


def _named(*names: str) -> Map:
    def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
        obj = new if new is not None else old
        return (_KEY,) if obj is not None and objects.name(obj) in names else ()

    return changed


def _named_like(prefix: str) -> Map:
    def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
        obj = new if new is not None else old
        return (_KEY,) if obj is not None and objects.name(obj).startswith(prefix) else ()

    return changed


def _vanished(old: Object | None, new: Object | None) -> Iterable[Key]:
    return (_KEY,) if new is None else ()


def _appears(old: Object | None, new: Object | None) -> Iterable[Key]:
    """Nodes that come, go, or change their readiness."""
    same = old is not None and new is not None and objects.is_true(old, "Ready") == objects.is_true(new, "Ready")
    return () if same else (_KEY,)


def _system_pod(old: Object | None, new: Object | None) -> Iterable[Key]:
    obj = new if new is not None else old
    if obj is None or f"{resources.GROUP}/component" not in objects.labels(obj):
        return ()
    same = old is not None and new is not None and presence.is_ready(old) == presence.is_ready(new)
    return () if same else (_KEY,)


@dataclass(frozen=True)
class _Manager:
    context: Context
    running: Presence
    config_maps: Informer
    nodes: Informer
    pods: Informer
    workloads: Informer
    classes: Informer
    own: dict[str, Informer]
    admission: Admission

    async def reconcile(self, key: Key) -> Outcome:
        """Make what is missing, in the manager's order."""
        managers = self.running.ready()
        if not managers:
            return Done()
        space = objects.namespace(managers[0])
        if not self.admission.is_ready(space):
            return Done()
        images = {
            name: presence.option(managers[0], resources.MANAGER_IMAGE, f"--{name}-image")
            for name in (
                "engine",
                "instance-manager",
                "share-manager",
                "backing-image-manager",
                "support-bundle-manager",
            )
        }
        await self._settings(space, images)
        await self._backup_target(space)
        nodes = sorted({each["spec"]["nodeName"] for each in managers})
        await self._engine_image(space, images["engine"], nodes)
        for node in nodes:
            await self._node(space, node)
            await self._instance_manager(space, node, images["instance-manager"])
        await self._classes(space)
        return Done()

    async def _settings(self, space: str, images: dict[str, str]) -> None:
        wanted = settings.customized(self.config_maps.get(space, _DEFAULTS))
        fixed = {
            "default-engine-image": images["engine"],
            "default-instance-manager-image": images["instance-manager"],
            "default-backing-image-manager-image": images["backing-image-manager"],
            "support-bundle-manager-image": images["support-bundle-manager"],
        }
        version = objects.resource_version(self.config_maps.get(space, _DEFAULTS) or {})
        turn = asyncio.Semaphore(_AT_ONCE)

        async def keep(each: Setting) -> None:
            async with turn:
                await self._setting(space, each, fixed.get(each.name, ""), wanted, version)

        await asyncio.gather(*(keep(each) for each in defaults.SETTINGS))

    async def _setting(self, space: str, each: Setting, fixed: str, wanted: dict[str, str], version: str) -> None:
        mark = {"annotations": {_APPLIED_VERSION: version}}
        present = self.own["settings"].get(space, each.name)
        if present is None:
            obj = settings.setting(space, each.name, fixed or wanted.get(each.name, each.default))
            obj["metadata"] |= mark
            present = await self._create(resources.SETTINGS, obj, space)
        elif each.name in wanted and objects.annotations(present).get(_APPLIED_VERSION) != version:
            # a changed ConfigMap is applied once: what people set afterwards stays
            changes = {"value": wanted[each.name], "metadata": mark}
            present = await self.context.writer.patch(resources.SETTINGS, present, changes)
        await self.context.writer.status(resources.SETTINGS, present, {"applied": True})

    async def _backup_target(self, space: str) -> None:
        text = ((self.config_maps.get(space, _RESOURCES) or {}).get("data") or {}).get("default-resource.yaml") or ""
        given = documents.load(text) or {}
        spec = {
            "backupTargetURL": str(given.get("backup-target") or ""),
            "credentialSecret": str(given.get("backup-target-credential-secret") or ""),
            "pollInterval": f"{given.get('backupstore-poll-interval') or 300}s",
        }
        await self._keep(resources.BACKUP_TARGETS, space, "default", spec, {"available": False, "conditions": []})

    async def _engine_image(self, space: str, image: str, nodes: list[str]) -> None:
        name = resources.engine_image(image)
        workload = self.workloads.get(space, f"engine-image-{name}")
        ready = (workload or {}).get("status", {}).get("numberReady", 0) >= len(nodes)
        status = {
            "state": "deployed" if workload is not None and ready else "deploying",
            "version": image.rpartition(":")[2],
            "nodeDeploymentMap": dict.fromkeys(nodes, bool(ready)),
            "incompatible": False,
            "cliAPIVersion": 11,
            "cliAPIMinVersion": 3,
            "controllerAPIVersion": 6,
            "controllerAPIMinVersion": 3,
            "dataFormatVersion": 1,
            "dataFormatMinVersion": 1,
        }
        obj = await self._keep(resources.ENGINE_IMAGES, space, name, {"image": image}, status)
        if workload is None:
            place = settings.placement(self.own["settings"], space)
            owner = objects.owner_reference(obj)
            await self._create(DAEMON_SETS, manifests.engine_image(place, image, owner), space)

    async def _node(self, space: str, name: str) -> None:
        node = self.nodes.get(None, name)
        if node is None:
            return
        path = settings.value(self.own["settings"], space, "default-data-path")
        capacity = (node.get("status") or {}).get("capacity", {}).get("ephemeral-storage")
        total = to_int(capacity) if capacity else _SMALLEST
        share = settings.value(self.own["settings"], space, "storage-reserved-percentage-for-default-disk")
        reserved = total * int(share) // 100
        disk = {
            "path": path,
            "diskType": "filesystem",
            "allowScheduling": True,
            "evictionRequested": False,
            "storageReserved": reserved,
            "tags": [],
        }
        spec = {"name": name, "allowScheduling": True, "evictionRequested": False, "tags": []}
        spec["disks"] = {resources.DEFAULT_DISK: disk}
        ready = objects.is_true(node, "Ready")
        disk_status = {
            "diskName": resources.DEFAULT_DISK,
            "diskPath": path,
            "diskType": "filesystem",
            "diskUUID": resources.checksum(objects.uid(node), 32),
            "storageMaximum": total,
            "storageAvailable": total - reserved,
            "storageScheduled": self._scheduled(space, name),
            "scheduledReplica": self._replicas(space, name),
            "conditions": [self._condition("Ready", True), self._condition("Schedulable", True)],
        }
        status = {
            "conditions": [self._condition("Ready", ready), self._condition("Schedulable", ready)],
            "diskStatus": {resources.DEFAULT_DISK: disk_status},
            "region": "",
            "zone": "",
        }
        await self._keep(resources.LONGHORN_NODES, space, name, spec, status)

    def _replicas(self, space: str, node: str) -> dict[str, int]:
        listed = (each for each in self.own["replicas"].list(space) if each["spec"].get("nodeID") == node)
        return {objects.name(each): int(each["spec"].get("volumeSize") or 0) for each in listed}

    def _scheduled(self, space: str, node: str) -> int:
        return sum(self._replicas(space, node).values())

    def _condition(self, type: str, holds: bool) -> Object:
        """Without a moment: Longhorn's own conditions on this machine never change but with their node."""
        return {"type": type, "status": "True" if holds else "False", "reason": "", "message": "", "lastProbeTime": ""}

    async def _instance_manager(self, space: str, node: str, image: str) -> None:
        name = resources.instance_manager(node, image)
        pod = self.pods.get(space, name)
        running = presence.is_ready(pod)
        spec = {"image": image, "nodeID": node, "type": "aio", "dataEngine": "v1"}
        status = {
            "currentState": "running" if running else "starting",
            "ip": presence.address(pod) if pod is not None else "",
            "ownerID": node,
            "apiVersion": 6,
            "apiMinVersion": 1,
            "proxyApiVersion": 7,
            "proxyApiMinVersion": 1,
        }
        obj = await self._keep(resources.INSTANCE_MANAGERS, space, name, spec, status)
        if pod is None:
            place = settings.placement(self.own["settings"], space)
            await self._create(
                PODS, manifests.instance_manager(place, node, image, objects.owner_reference(obj)), space
            )

    async def _classes(self, space: str) -> None:
        text = ((self.config_maps.get(space, _CLASS) or {}).get("data") or {}).get("storageclass.yaml") or ""
        wanted = [documents.load(text)] if text else []
        static = settings.value(self.own["settings"], space, "default-longhorn-static-storage-class")
        wanted.append(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": static},
                "provisioner": resources.DRIVER,
                "allowVolumeExpansion": True,
                "reclaimPolicy": "Delete",
                "volumeBindingMode": "Immediate",
                "parameters": {"staleReplicaTimeout": "30"},
            }
        )
        for each in wanted:
            # what was applied is remembered: classes cannot be changed, only made again
            text = json.dumps(each, sort_keys=True)
            mark = {f"{resources.GROUP}/last-applied-configmap": text}
            present = self.classes.get(None, objects.name(each))
            if present is not None and objects.annotations(present).get(next(iter(mark))) == text:
                continue
            if present is not None:
                if objects.name(each) == static:
                    continue
                await self.context.writer.delete(STORAGE_CLASSES, present)
            metadata = {**each["metadata"], "annotations": {**objects.annotations(each), **mark}}
            await self._create(STORAGE_CLASSES, {**each, "metadata": metadata}, None)

    async def _keep(self, resource: Resource, space: str, name: str, spec: Object, status: Object) -> Object:
        """Create the object where it is missing and write its status where it differs; a spec belongs to the user."""
        obj = self.own[resource.plural].get(space, name)
        if obj is None:
            metadata = {"name": name, "namespace": space, "labels": dict(resources.MANAGED)}
            head = {"apiVersion": resource.api_version, "kind": resource.kind}
            obj = await self._create(resource, {**head, "metadata": metadata, "spec": spec}, space)
        present = obj.get("status") or {}
        if any(present.get(name) != value for name, value in status.items()):
            obj = await self.context.writer.status(resource, obj, {**present, **status})
        return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}

    async def _create(self, resource: Resource, obj: Object, space: str | None) -> Object:
        try:
            return await self.context.writer.create(resource, obj, space)
        except errors.AlreadyExists:
            return await self.context.client.get(resource, objects.name(obj), space)
