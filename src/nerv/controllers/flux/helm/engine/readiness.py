"""When Helm calls an object ready, kind by kind (Helm 3.17; it does not use kstatus). Pure.

Kinds that are not named here, custom resources among them, are ready as soon as they exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object

Related = Callable[[str], Iterable[Object]]
"""The present objects of a kind (`ReplicaSet` or `Pod`) in the namespace of the object that is judged."""


def is_ready(obj: Object, related: Related, jobs: bool) -> bool:
    """Whether a wait for `obj` is over; Jobs are looked at only if `jobs`."""
    match objects.kind(obj):
        case "Pod":
            return objects.is_true(obj, "Ready")
        case "Job":
            return not jobs or _job(obj)
        case "Deployment":
            return _deployment(obj, related)
        case "PersistentVolumeClaim":
            return bool(_status(obj).get("phase") == "Bound")
        case "Service":
            return _service(obj)
        case "DaemonSet":
            return _daemon_set(obj)
        case "StatefulSet":
            return _stateful_set(obj)
        case "CustomResourceDefinition":
            names = objects.condition(obj, "NamesAccepted")
            return objects.is_true(obj, "Established") or (names is not None and names["status"] == "False")
        case "ReplicationController" | "ReplicaSet":
            return _observed(obj) and all(objects.is_true(pod, "Ready") for pod in _pods(obj, related))
    return True


def failed_job(obj: Object) -> bool:
    """Whether a Job failed more often than it may, so that waiting is in vain."""
    limit = (obj.get("spec") or {}).get("backoffLimit", 6)
    return objects.kind(obj) == "Job" and int(_status(obj).get("failed") or 0) > limit


def _status(obj: Object) -> dict[str, Any]:
    found: dict[str, Any] = obj.get("status") or {}
    return found


def _observed(obj: Object) -> bool:
    return bool(_status(obj).get("observedGeneration") == objects.generation(obj))


def _job(obj: Object) -> bool:
    completions = obj["spec"].get("completions")
    return completions is None or int(_status(obj).get("succeeded") or 0) >= completions


def _deployment(obj: Object, related: Related) -> bool:
    spec = obj["spec"]
    if spec.get("paused"):
        return True
    new = next((each for each in related("ReplicaSet") if _is_new(each, obj)), None)
    if new is None or not _observed(new) or not _observed(obj):
        return False
    replicas = int(spec.get("replicas", 1))
    return int(_status(new).get("readyReplicas") or 0) >= replicas - _max_unavailable(spec, replicas)


def _is_new(replica_set: Object, deployment: Object) -> bool:
    """Whether the ReplicaSet carries the Deployment's present template."""
    owner = objects.controller_of(replica_set)
    if owner is None or owner["uid"] != objects.uid(deployment):
        return False
    template = objects.clone(replica_set["spec"]["template"])
    (template.get("metadata", {}).get("labels") or {}).pop("pod-template-hash", None)
    return _meaning(template) == _meaning(deployment["spec"]["template"])


def _meaning(template: Object) -> Object:
    metadata = {name: value for name, value in (template.get("metadata") or {}).items() if value}
    return {**template, "metadata": metadata}


def _max_unavailable(spec: Object, replicas: int) -> int:
    """Rounded down; if nothing may be unavailable and nothing may be added, one pod must be allowed to go."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate" or replicas == 0:
        return 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = _scaled(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _scaled(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return min(unavailable, replicas)


def _scaled(value: Any, total: int, rounded: Callable[[float], int]) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return rounded(int(value[:-1]) * total / 100)
    return int(value)


def _service(obj: Object) -> bool:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return True
    if not spec.get("clusterIP"):
        return False
    if spec.get("type") == "LoadBalancer" and not spec.get("externalIPs"):
        return bool((_status(obj).get("loadBalancer") or {}).get("ingress"))
    return True


def _daemon_set(obj: Object) -> bool:
    status, strategy = _status(obj), obj["spec"].get("updateStrategy") or {}
    if not _observed(obj):
        return False
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return True
    desired = int(status.get("desiredNumberScheduled") or 0)
    if int(status.get("updatedNumberScheduled") or 0) != desired:
        return False
    allowed = _scaled((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), desired, math.ceil)
    return int(status.get("numberReady") or 0) >= desired - allowed


def _stateful_set(obj: Object) -> bool:
    spec, status = obj["spec"], _status(obj)
    if not _observed(obj):
        return False
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return True
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    replicas = int(spec.get("replicas", 1))
    if int(status.get("updatedReplicas") or 0) < replicas - partition:
        return False
    if int(status.get("readyReplicas") or 0) != replicas:
        return False
    return partition != 0 or bool(status.get("currentRevision") == status.get("updateRevision"))


def _pods(obj: Object, related: Related) -> list[Object]:
    uid = objects.uid(obj)
    return [pod for pod in related("Pod") if (objects.controller_of(pod) or {}).get("uid") == uid]
