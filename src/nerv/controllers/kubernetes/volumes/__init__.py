"""PersistentVolumes and claims: binding, what the scheduler asks of them, protection and reclaim.

Provisioning is left to the provisioner that a StorageClass names; here its claim is only announced to it.
"""

from nerv.controllers.kubernetes.volumes.binding import persistent_volumes
from nerv.controllers.kubernetes.volumes.protection import claim_protection, volume_protection

__all__ = ["claim_protection", "persistent_volumes", "volume_protection"]
