"""Volumes are attached to the node of the pods that use them, and detached when the last is gone.

The VolumeAttachment is what Kubernetes' attach controller makes where there is one; the rest is the work of
csi-attacher and of Longhorn's volume controller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nerv.controllers.presence import Presence
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, Watch
from nerv.controllers.services.context import Context
from nerv.controllers.services.storage import resources, volumes
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, VOLUME_ATTACHMENTS, Resource

_USERS = "claims of a pod"


def attachments(context: Context) -> Controller:
    """The controller of attachments; keys are PersistentVolumes."""
    informers = context.informers
    pods = informers.of(PODS)
    pods.add_index(_USERS, _claims)
    reconciler = _Attachment(
        context,
        Presence.of(informers, resources.ATTACHER_IMAGE),
        Presence.of(informers, resources.MANAGER_IMAGE, resources.is_daemon),
        pods,
        informers.of(PERSISTENT_VOLUME_CLAIMS),
        informers.of(PERSISTENT_VOLUMES),
        informers.of(VOLUME_ATTACHMENTS),
        informers.of(resources.LONGHORN_VOLUMES),
        context.recorder("attachdetach-controller"),
    )
    watches = (
        Watch(reconciler.volumes),
        Watch(reconciler.pods, reconciler.pod_changed),
        Watch(reconciler.attachments, _attachment_changed),
        Watch(reconciler.longhorn, _longhorn_changed, required=False),
        reconciler.attachers.watch(reconciler.everything),
        reconciler.managers.watch(reconciler.everything),
    )
    return Controller("longhorn-attacher", reconciler.reconcile, watches, clock=context.clock)


def _claims(pod: Object) -> Iterable[tuple[str, str]]:
    """Claims that a pod on a node uses, until it has ended."""
    if not pod["spec"].get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return
    for volume in pod["spec"].get("volumes") or []:
        if volume.get("persistentVolumeClaim"):
            yield objects.namespace(pod), volume["persistentVolumeClaim"]["claimName"]
        elif volume.get("ephemeral"):
            yield objects.namespace(pod), f"{objects.name(pod)}-{volume['name']}"


def _attachment_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    obj = new if new is not None else old
    name = obj["spec"]["source"].get("persistentVolumeName") if obj is not None else None
    return (Key("", name),) if name else ()


def _longhorn_changed(old: Object | None, new: Object | None) -> Iterable[Key]:
    # the PersistentVolume that this room made has the name of Longhorn's volume
    return (Key("", objects.name(new)),) if old is None and new is not None else ()


@dataclass(frozen=True)
class _Attachment:
    context: Context
    attachers: Presence
    managers: Presence
    pods: Informer
    claims: Informer
    volumes: Informer
    attachments: Informer
    longhorn: Informer
    recorder: EventRecorder

    def everything(self) -> list[Key]:
        """Every volume."""
        return [Key("", objects.name(each)) for each in self.volumes.list()]

    def pod_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        """The volumes of the claims that a pod uses or used."""
        for pod in (old, new):
            for space, name in _claims(pod) if pod is not None else ():
                claim = self.claims.get(space, name)
                if claim is not None and claim["spec"].get("volumeName"):
                    yield Key("", claim["spec"]["volumeName"])

    async def reconcile(self, key: Key) -> Outcome:
        """Attach where pods are, detach where none is, and tell Longhorn's objects."""
        volume = self.volumes.get(None, key.name)
        manager = self.managers.leader()
        if volume is None or manager is None or (volume["spec"].get("csi") or {}).get("driver") != resources.DRIVER:
            return Done()
        reference = volume["spec"].get("claimRef") or {}
        claim = self.claims.get(reference.get("namespace", ""), reference.get("name", ""))
        place = (reference.get("namespace", ""), reference.get("name", ""))
        users = self.pods.indexed(_USERS, place) if claim is not None else []
        nodes = sorted({each["spec"]["nodeName"] for each in users})
        if self.attachers.leader() is not None:
            await self._attach(volume, nodes, users)
        attached = [each for each in self._present(volume) if (each.get("status") or {}).get("attached")]
        node = attached[0]["spec"]["nodeName"] if attached else ""
        await self._tell(objects.namespace(manager), volume, claim, node, users)
        return Done()

    def _present(self, volume: Object) -> list[Object]:
        name = objects.name(volume)
        return [each for each in self.attachments.list() if each["spec"]["source"].get("persistentVolumeName") == name]

    async def _attach(self, volume: Object, nodes: list[str], users: list[Object]) -> None:
        name, handle = objects.name(volume), volume["spec"]["csi"]["volumeHandle"]
        present = {each["spec"]["nodeName"]: each for each in self._present(volume)}
        for node in nodes:
            found = present.get(node)
            if found is None:
                try:
                    found = await self.context.writer.create(VOLUME_ATTACHMENTS, volumes.attachment(name, handle, node))
                except errors.AlreadyExists:
                    continue
            if not (found.get("status") or {}).get("attached"):
                await self.context.writer.status(VOLUME_ATTACHMENTS, found, {"attached": True})
                for pod in (each for each in users if each["spec"]["nodeName"] == node):
                    text = f'AttachVolume.Attach succeeded for volume "{name}" '
                    self.recorder.event(pod, "Normal", "SuccessfulAttachVolume", text)
        for node, found in present.items():
            if node not in nodes:
                await self.context.writer.delete(VOLUME_ATTACHMENTS, found)

    async def _tell(self, space: str, pv: Object, claim: Object | None, node: str, users: list[Object]) -> None:
        handle = pv["spec"]["csi"]["volumeHandle"]
        volume = self.longhorn.get(space, handle)
        if volume is None or objects.deleting(volume):
            return
        workloads = [
            {
                "podName": objects.name(each),
                "podStatus": (each.get("status") or {}).get("phase", ""),
                "workloadName": (objects.controller_of(each) or {}).get("name", ""),
                "workloadType": (objects.controller_of(each) or {}).get("kind", ""),
            }
            for each in users
        ]
        replicas = self._parts(space, handle, resources.REPLICAS)
        if volume["spec"].get("nodeID", "") != node:
            volume = await self.context.writer.patch(resources.LONGHORN_VOLUMES, volume, {"spec": {"nodeID": node}})
        now = self.context.timestamp()
        status = volumes.status(volume, node, len(replicas), claim, pv, workloads, now)
        await self.context.writer.status(resources.LONGHORN_VOLUMES, volume, status)
        state = "running" if node else "stopped"
        for resource in (resources.ENGINES, resources.REPLICAS):
            for part in self._parts(space, handle, resource):
                await self._set_state(resource, part, state, node)

    def _parts(self, space: str, handle: str, resource: Resource) -> list[Object]:
        listed = self.context.informers.of(resource).list(space)
        return [each for each in listed if each["spec"].get("volumeName") == handle]

    async def _set_state(self, resource: Resource, part: Object, state: str, node: str) -> None:
        spec: Object = {"desireState": state}
        if resource is resources.ENGINES:
            spec["nodeID"] = node
        if any(part["spec"].get(name) != value for name, value in spec.items()):
            part = await self.context.writer.patch(resource, part, {"spec": spec})
        status = {**(part.get("status") or {}), "currentState": state, "started": state == "running"}
        status |= {"currentImage": part["spec"].get("image", ""), "ownerID": node}
        if resource is resources.ENGINES:
            status["currentSize"] = part["spec"].get("volumeSize", "0")
        await self.context.writer.status(resource, part, status)
