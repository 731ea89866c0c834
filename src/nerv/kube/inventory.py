"""What was applied together: entries of an inventory (`status.inventory` of Flux' Kustomizations, in the form of
sigs.k8s.io/cli-utils), their order, and what is no longer among them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object, join_api_version, split_api_version

_FIRST = (
    *("CustomResourceDefinition", "Namespace", "ClusterRole", "ClusterClass", "RuntimeClass", "PriorityClass"),
    *("StorageClass", "VolumeSnapshotClass", "IngressClass", "GatewayClass", "ClusterRoleBinding", "ResourceQuota"),
    *("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Secret", "Service", "LimitRange", "Deployment"),
    *("StatefulSet", "CronJob", "PodDisruptionBudget"),
)
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_RANKS = {kind: number - len(_FIRST) for number, kind in enumerate(_FIRST)} | {
    kind: number + 1 for number, kind in enumerate(_LAST)
}


@dataclass(frozen=True)
class Reference:
    """One object, by what it is and what it is called. `namespace` is empty for cluster-wide kinds."""

    namespace: str
    name: str
    group: str
    kind: str
    version: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Reference:
        """The reference to an object."""
        group, version = split_api_version(objects.api_version(obj))
        return cls(objects.namespace(obj), objects.name(obj), group, objects.kind(obj), version)

    @property
    def id(self) -> str:
        """`<namespace>_<name>_<group>_<kind>`; colons of RBAC names are written as two underscores."""
        return f"{self.namespace}_{self.name.replace(':', '__')}_{self.group}_{self.kind}"

    @property
    def api_version(self) -> str:
        return join_api_version(self.group, self.version)

    @property
    def subject(self) -> str:
        """`Kind/namespace/name`, as messages name objects."""
        return subject(self.kind, self.namespace, self.name)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes it this object: the version does not count."""
        return (self.namespace, self.name, self.group, self.kind)


def subject(kind: str, namespace: str, name: str) -> str:
    """`Kind/namespace/name`, or `Kind/name` without a namespace."""
    return f"{kind}/{namespace}/{name}" if namespace else f"{kind}/{name}"


def rank(reference: Reference) -> tuple[int, str, str, str, str]:
    """The order of applying; deletion goes the other way round."""
    return (_RANKS.get(reference.kind, 0), reference.group, reference.kind, reference.namespace, reference.name)


def write(references: Iterable[Reference]) -> Object:
    """What belongs in `status.inventory`."""
    return {"entries": [{"id": reference.id, "v": reference.version} for reference in references]}


def read(inventory: Mapping[str, Any] | None) -> list[Reference]:
    """The references of a `status.inventory`; entries that are none are left out."""
    found = []
    for entry in (inventory or {}).get("entries") or ():
        namespace, _, rest = entry["id"].partition("_")
        parts = rest.rsplit("_", 2)
        if len(parts) == 3:
            name, group, kind = parts
            found.append(Reference(namespace, name.replace("__", ":"), group, kind, entry.get("v", "")))
    return found


def difference(old: Iterable[Reference], new: Iterable[Reference]) -> list[Reference]:
    """What is in `old` and not in `new`, in the order of deletion."""
    kept = {reference.identity for reference in new}
    gone = [reference for reference in old if reference.identity not in kept]
    return sorted(gone, key=rank, reverse=True)


def stages(manifests: Sequence[Object]) -> list[list[Object]]:
    """Definitions and namespaces, classes, all the rest: each stage in order, and each ready before the next begins."""
    result: list[list[Object]] = [[], [], []]
    for obj in sorted(manifests, key=lambda obj: rank(Reference.of(obj))):
        kind = objects.kind(obj)
        result[0 if _defines(obj) else 1 if kind.endswith("Class") else 2].append(obj)
    return result


def _defines(obj: Object) -> bool:
    group, version = split_api_version(objects.api_version(obj))
    match objects.kind(obj):
        case "CustomResourceDefinition":
            return group == "apiextensions.k8s.io"
        case "Namespace":
            return (group, version) == ("", "v1")
        case "ClusterRole":
            return group == "rbac.authorization.k8s.io"
    return False
