"""What the scheduler must know about the claims of a pod. Pure but for the informers it reads."""

from __future__ import annotations

from dataclasses import dataclass

from nerv.controllers.kubernetes import placement
from nerv.controllers.runtime import Informer
from nerv.kube import objects
from nerv.kube.objects import Object

SELECTED_NODE = "volume.kubernetes.io/selected-node"


def claim_names(pod: Object) -> list[str]:
    """The names of the claims that the pod's volumes use, generic ephemeral ones included."""
    names = []
    for volume in pod["spec"].get("volumes") or []:
        if volume.get("persistentVolumeClaim"):
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            names.append(f"{objects.name(pod)}-{volume['name']}")
    return names


def is_bound(claim: Object) -> bool:
    """Whether the claim is bound on both sides."""
    return bool(claim["spec"].get("volumeName")) and claim.get("status", {}).get("phase") == "Bound"


@dataclass(frozen=True)
class Storage:
    """Claims, volumes and classes as they are now."""

    claims: Informer
    volumes: Informer
    classes: Informer

    def problem(self, pod: Object) -> str:
        """Why the pod cannot be placed anywhere yet; empty if its claims allow it."""
        for name in claim_names(pod):
            claim = self.claims.get(objects.namespace(pod), name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if objects.deleting(claim):
                return f'persistentvolumeclaim "{name}" is being deleted'
            if not is_bound(claim) and not self.waits_for_consumer(claim):
                return "pod has unbound immediate PersistentVolumeClaims"
        return ""

    def unbound(self, pod: Object) -> list[Object]:
        """The pod's claims that are not bound."""
        found = (self.claims.get(objects.namespace(pod), name) for name in claim_names(pod))
        return [claim for claim in found if claim is not None and not is_bound(claim)]

    def conflict(self, pod: Object, node: Object) -> str:
        """Why a bound volume cannot be used on the node; empty if all can."""
        for name in claim_names(pod):
            claim = self.claims.get(objects.namespace(pod), name)
            volume = self.volumes.get(None, claim["spec"].get("volumeName", "")) if claim is not None else None
            required = ((volume or {}).get("spec", {}).get("nodeAffinity") or {}).get("required")
            if required and not placement.matches_terms(required.get("nodeSelectorTerms") or [], node):
                return "node(s) had volume node affinity conflict"
        return ""

    def waits_for_consumer(self, claim: Object) -> bool:
        """Whether the claim's class binds when a pod uses it."""
        storage_class = self.classes.get(None, claim["spec"].get("storageClassName") or "")
        return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
