"""What a new object begins with: its first status, and fields derived from its identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from nerv.kube import quantity
from nerv.kube.defaults.pods import containers
from nerv.kube.objects import Object


def begin(obj: Object) -> Object:
    """Changes a new object in place. It must carry its name and uid; call it after defaulting, before validation."""
    start = _KINDS.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    if start is not None:
        start(obj)
    return obj


def _pod(obj: Object) -> None:
    obj["status"] = {"phase": "Pending", "qosClass": quality(obj.get("spec") or {})}


def quality(spec: Mapping[str, Any]) -> str:
    """The quality-of-service class of a pod: Guaranteed, Burstable or BestEffort, by CPU and memory alone."""
    found = [container.get("resources") or {} for container in containers(spec)]
    named = [
        (kind, name, quantity.parse(value))
        for resources in found
        for kind in ("limits", "requests")
        for name, value in (resources.get(kind) or {}).items()
        if name in ("cpu", "memory")
    ]
    if not any(value for _, _, value in named):
        return "BestEffort"
    for resources in found:
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            if name not in limits or quantity.parse(requests.get(name, limits[name])) != quantity.parse(limits[name]):
                return "Burstable"
    return "Guaranteed"


def _job(obj: Object) -> None:
    """A Job selects its pods by its own uid, unless it manages its selector itself."""
    spec, metadata = obj["spec"], obj["metadata"]
    obj["status"] = {}
    if spec.get("manualSelector"):
        return
    labels = spec.setdefault("template", {}).setdefault("metadata", {}).get("labels") or {}
    for prefix in ("", "batch.kubernetes.io/"):
        labels |= {f"{prefix}controller-uid": metadata["uid"], f"{prefix}job-name": metadata["name"]}
    spec["template"]["metadata"]["labels"] = labels
    spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}})


def _namespace(obj: Object) -> None:
    obj["status"] = {"phase": "Active"}
    finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")


def _pending(obj: Object) -> None:
    obj["status"] = {"phase": "Pending"}


def _service(obj: Object) -> None:
    obj["status"] = {"loadBalancer": {}}


def _empty(obj: Object) -> None:
    obj["status"] = {}


_KINDS: Final[dict[tuple[str, str], Callable[[Object], None]]] = {
    ("v1", "Pod"): _pod,
    ("v1", "Namespace"): _namespace,
    ("v1", "PersistentVolume"): _pending,
    ("v1", "PersistentVolumeClaim"): _pending,
    ("v1", "Service"): _service,
    ("v1", "ReplicationController"): lambda obj: obj.update(status={"replicas": 0}),
    ("v1", "ResourceQuota"): _empty,
    ("apps/v1", "Deployment"): _empty,
    ("apps/v1", "ReplicaSet"): lambda obj: obj.update(status={"replicas": 0}),
    ("apps/v1", "StatefulSet"): lambda obj: obj.update(status={"replicas": 0, "availableReplicas": 0}),
    ("apps/v1", "DaemonSet"): lambda obj: obj.update(
        status={"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0}
    ),
    ("batch/v1", "Job"): _job,
    ("batch/v1", "CronJob"): _empty,
    ("networking.k8s.io/v1", "Ingress"): _service,
}
