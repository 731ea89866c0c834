"""What a claim becomes: a PersistentVolume and Longhorn's Volume, Engine and Replicas. Pure.

States and names as longhorn-manager 1.9.1 gives them; the data is one folder on this machine, whatever the number of
replicas says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nerv.controllers.services.storage import resources
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.quantity import binary, to_int

_BLOCK = 2 << 20
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def size_of(claim: Object) -> int:
    """Bytes asked for, rounded up to what Longhorn can make (multiples of 2 MiB)."""
    asked = to_int(claim["spec"]["resources"]["requests"]["storage"])
    return max(-(-asked // _BLOCK) * _BLOCK, _BLOCK)


def volume_name(claim: Object) -> str:
    """`pvc-<uid of the claim>`, the name of the PersistentVolume, too."""
    return f"pvc-{objects.uid(claim)}"


def persistent_volume(claim: Object, storage_class: Object) -> Object:
    """The PersistentVolume of a claim."""
    name = volume_name(claim)
    parameters = storage_class.get("parameters") or {}
    spec: Object = {
        "capacity": {"storage": binary(size_of(claim))},
        "accessModes": list(claim["spec"].get("accessModes") or []),
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": objects.name(storage_class),
        "volumeMode": claim["spec"].get("volumeMode") or "Filesystem",
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": objects.namespace(claim),
            "name": objects.name(claim),
            "uid": objects.uid(claim),
            "resourceVersion": objects.resource_version(claim),
        },
        "csi": {
            "driver": resources.DRIVER,
            "fsType": parameters.get("fsType") or "ext4",
            "volumeHandle": name,
            "volumeAttributes": {**parameters, "storage.kubernetes.io/csiProvisionerIdentity": resources.DRIVER},
        },
    }
    if storage_class.get("mountOptions"):
        spec["mountOptions"] = list(storage_class["mountOptions"])
    metadata = {
        "name": name,
        "annotations": {
            PROVISIONED_BY: resources.DRIVER,
            "volume.kubernetes.io/provisioner-deletion-secret-name": "",
            "volume.kubernetes.io/provisioner-deletion-secret-namespace": "",
        },
        "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer"],
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def longhorn_volume(space: str, name: str, size: int, parameters: Object, claim: Object, image: str) -> Object:
    """Longhorn's Volume."""
    modes = claim["spec"].get("accessModes") or []
    spec = {
        "size": str(size),
        "numberOfReplicas": int(parameters.get("numberOfReplicas") or 3),
        "staleReplicaTimeout": int(parameters.get("staleReplicaTimeout") or 30),
        "frontend": "blockdev",
        "dataEngine": parameters.get("dataEngine") or "v1",
        "dataLocality": parameters.get("dataLocality") or "disabled",
        "accessMode": "rwx" if "ReadWriteMany" in modes else "rwo",
        "fromBackup": parameters.get("fromBackup") or "",
        "backupTargetName": parameters.get("backupTargetName") or "default",
        "revisionCounterDisabled": parameters.get("disableRevisionCounter") == "true",
        "unmapMarkSnapChainRemoved": parameters.get("unmapMarkSnapChainRemoved") or "ignored",
        "image": image,
        "nodeID": "",
        "migratable": parameters.get("migratable") == "true",
        "encrypted": False,
    }
    labels = {"longhornvolume": name, f"{resources.GROUP}/backup-target": spec["backupTargetName"]}
    metadata = {"name": name, "namespace": space, "labels": labels, "finalizers": [resources.GROUP]}
    return {"apiVersion": resources.API_VERSION, "kind": "Volume", "metadata": metadata, "spec": spec}


def engine(volume: Object, image: str) -> Object:
    """The Engine of a Volume."""
    name = objects.name(volume)
    spec = {
        "volumeName": name,
        "volumeSize": volume["spec"]["size"],
        "image": image,
        "active": True,
        "frontend": "blockdev",
        "dataEngine": volume["spec"]["dataEngine"],
        "desireState": "stopped",
        "nodeID": "",
    }
    return _part(volume, "Engine", f"{name}-e-0", spec)


def replicas(volume: Object, image: str, nodes: Sequence[str]) -> list[Object]:
    """One Replica on each of the first nodes, as many as the Volume wants and nodes there are."""
    name = objects.name(volume)
    found = []
    for index, node in enumerate(nodes[: volume["spec"]["numberOfReplicas"]]):
        short = hashlib.sha256(f"{name}{index}".encode()).hexdigest()[:8]
        spec = {
            "volumeName": name,
            "volumeSize": volume["spec"]["size"],
            "image": image,
            "active": True,
            "engineName": f"{name}-e-0",
            "dataEngine": volume["spec"]["dataEngine"],
            "dataDirectoryName": f"{name}-{short}",
            "diskPath": "/var/lib/longhorn/",
            "nodeID": node,
            "desireState": "stopped",
        }
        found.append(_part(volume, "Replica", f"{name}-r-{short}", spec))
    return found


def _part(volume: Object, kind: str, name: str, spec: Object) -> Object:
    owner = objects.owner_reference({"apiVersion": resources.API_VERSION, "kind": "Volume", **volume}, controller=False)
    metadata = {
        "name": name,
        "namespace": objects.namespace(volume),
        "labels": {"longhornvolume": objects.name(volume)},
        "ownerReferences": [owner],
    }
    return {"apiVersion": resources.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def status(
    volume: Object,
    node: str,
    present: int,
    claim: Object | None,
    pv: Object | None,
    workloads: Sequence[Object],
    now: str,
) -> Object:
    """The Volume's status: attached to a node or detached, and healthy, degraded (fewer replicas than wanted) or
    unknown while detached."""
    wanted = volume["spec"]["numberOfReplicas"]
    robustness = "unknown" if not node else ("healthy" if present >= wanted else "degraded")
    before = volume.get("status") or {}
    old = (before.get("kubernetesStatus") or {}) if isinstance(before.get("kubernetesStatus"), dict) else {}
    told: Object = {
        "pvName": objects.name(pv) if pv is not None else "",
        "pvStatus": ((pv or {}).get("status") or {}).get("phase", ""),
        "namespace": objects.namespace(claim) if claim is not None else old.get("namespace", ""),
        "pvcName": objects.name(claim) if claim is not None else old.get("pvcName", ""),
        "workloadsStatus": list(workloads),
        "lastPVCRefAt": "" if claim is not None else old.get("lastPVCRefAt") or now,
        "lastPodRefAt": "" if workloads else old.get("lastPodRefAt") or "",
    }
    return {
        **before,
        "state": "attached" if node else "detached",
        "robustness": robustness,
        "currentNodeID": node,
        "ownerID": node or before.get("ownerID", ""),
        "currentImage": volume["spec"].get("image", ""),
        "frontendDisabled": False,
        "kubernetesStatus": told,
    }


def attachment_name(handle: str, node: str) -> str:
    """The name that Kubernetes' own attach controller gives a VolumeAttachment."""
    return f"csi-{hashlib.sha256(f'{handle}{resources.DRIVER}{node}'.encode()).hexdigest()}"


def attachment(volume: str, handle: str, node: str) -> Object:
    """A VolumeAttachment."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": attachment_name(handle, node)},
        "spec": {"attacher": resources.DRIVER, "nodeName": node, "source": {"persistentVolumeName": volume}},
    }
