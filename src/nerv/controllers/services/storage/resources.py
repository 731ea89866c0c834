"""Longhorn's kinds (longhorn.io/v1beta2), images, labels and the names that chart and manager agree on."""

from __future__ import annotations

import hashlib

from nerv.controllers import presence
from nerv.kube.objects import Object
from nerv.kube.resources import Resource

GROUP = "longhorn.io"
API_VERSION = f"{GROUP}/v1beta2"
DRIVER = "driver.longhorn.io"


def _resource(plural: str, kind: str) -> Resource:
    return Resource(GROUP, "v1beta2", plural, kind, True, kind.lower())


SETTINGS = _resource("settings", "Setting")
LONGHORN_NODES = _resource("nodes", "Node")
ENGINE_IMAGES = _resource("engineimages", "EngineImage")
INSTANCE_MANAGERS = _resource("instancemanagers", "InstanceManager")
BACKUP_TARGETS = _resource("backuptargets", "BackupTarget")
LONGHORN_VOLUMES = _resource("volumes", "Volume")
ENGINES = _resource("engines", "Engine")
REPLICAS = _resource("replicas", "Replica")
ALL = (
    LONGHORN_VOLUMES,
    ENGINES,
    REPLICAS,
    INSTANCE_MANAGERS,
    ENGINE_IMAGES,
    BACKUP_TARGETS,
    LONGHORN_NODES,
    SETTINGS,
)
"""What this room makes, in the order in which an uninstallation takes it away."""

MANAGER_IMAGE = "longhornio/longhorn-manager"
PROVISIONER_IMAGE = "longhornio/csi-provisioner"
RESIZER_IMAGE = "longhornio/csi-resizer"
ATTACHER_IMAGE = "longhornio/csi-attacher"
CONVERTED = tuple(f"{each}.{GROUP}" for each in ("nodes", "volumes", "engineimages", "backingimages", "backuptargets"))
DELETING_CONFIRMATION = "deleting-confirmation-flag"
MANAGED = {f"{GROUP}/managed-by": "longhorn-manager"}
DEFAULT_DISK = "default-disk"
CONVERSION_SERVICE = "longhorn-conversion-webhook"
ADMISSION_SERVICE = "longhorn-admission-webhook"
BACKEND_SERVICE = "longhorn-backend"
SERVICE_ACCOUNT = "longhorn-service-account"


def is_daemon(pod: Object) -> bool:
    """Whether a pod of the manager's image is the manager, not the deployer, the plugin or a Job."""
    return "daemon" in presence.arguments(pod, MANAGER_IMAGE)


def is_deployer(pod: Object) -> bool:
    """Whether a pod of the manager's image is the driver deployer."""
    return "deploy-driver" in presence.arguments(pod, MANAGER_IMAGE)


def checksum(text: str, length: int) -> str:
    """As Longhorn shortens names: the first digits of SHA-512."""
    return hashlib.sha512(text.encode()).hexdigest()[:length]


def canonical(image: str) -> str:
    """An image's name without colons and slashes."""
    return image.replace(":", "-").replace("/", "-")


def engine_image(image: str) -> str:
    """The name of an engine image's object."""
    return f"ei-{checksum(canonical(image), 8)}"


def instance_manager(node: str, image: str) -> str:
    """The name of the instance manager of a node."""
    return f"instance-manager-{checksum(node + image + 'v1', 32)}"
