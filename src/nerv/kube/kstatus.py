"""How far an object is on its way to what its spec asks for, by the rules of sigs.k8s.io/cli-utils (kstatus).

Flux's health checks and Helm's wait are these rules. An object without any status counts as current.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from nerv.kube import objects
from nerv.kube.objects import Object, parse_time

_SCHEDULE_WINDOW: Final = timedelta(seconds=15)
"""For so long an unschedulable pod is in progress; then it has failed."""


_NO_DEADLINE: Final = 2**31 - 1


class Level(StrEnum):
    """The outcome."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    UNKNOWN = "Unknown"
    NOT_FOUND = "NotFound"


@dataclass(frozen=True)
class Status:
    """The outcome and why, in kstatus' words."""

    level: Level
    message: str = ""
    reason: str = ""

    @property
    def current(self) -> bool:
        """Whether the object is what its spec asks for."""
        return self.level is Level.CURRENT


NOT_FOUND: Final = Status(Level.NOT_FOUND, "Resource not found")


def _progress(reason: str, message: str) -> Status:
    return Status(Level.IN_PROGRESS, message, reason)


def _failed(reason: str, message: str) -> Status:
    return Status(Level.FAILED, message, reason)


def compute(obj: Object | None, now: datetime | None = None, *, jobs_must_end: bool = False) -> Status:
    """The status of an object; None is one that does not exist. `now` decides how long a pod may be unschedulable.

    kstatus calls a running Job current; with `jobs_must_end` it is in progress until it ends, as Flux has it.
    """
    if obj is None:
        return NOT_FOUND
    generic = _generic(obj)
    if generic is not None:
        return generic
    rule = _RULES.get((objects.split_api_version(objects.api_version(obj))[0], objects.kind(obj)))
    if rule is _job:
        return _job(obj, now, jobs_must_end)
    if rule is not None:
        return rule(obj, now)
    return _ready_condition(obj) or Status(Level.CURRENT, "Resource is current")


def _generic(obj: Object) -> Status | None:
    """Rules for every kind: deletion, the observed generation, the conditions Reconciling and Stalled."""
    if objects.deleting(obj):
        return Status(Level.TERMINATING, "Resource scheduled for deletion")
    status = obj.get("status")
    if not isinstance(status, Mapping):
        return None
    observed, wanted = status.get("observedGeneration"), objects.metadata(obj).get("generation")
    if observed is not None and wanted is not None and observed != wanted:
        kind = objects.kind(obj)
        return _progress(
            "LatestGenerationNotObserved",
            f"{kind} generation is {wanted}, but latest observed generation is {observed}",
        )
    for item in status.get("conditions") or ():
        if item.get("type") == "Reconciling" and item.get("status") == "True":
            return _progress(item.get("reason", ""), item.get("message", ""))
        if item.get("type") == "Stalled" and item.get("status") == "True":
            return _failed(item.get("reason", ""), item.get("message", ""))
    return None


def _ready_condition(obj: Object) -> Status | None:
    """What most custom resources have: Ready, else nothing to go by."""
    found = objects.condition(obj, "Ready")
    if found is None:
        return None
    if found.get("status") == "True":
        return Status(Level.CURRENT, "Resource is Ready")
    if found.get("status") in ("False", "Unknown"):
        return _progress(found.get("reason", ""), found.get("message", ""))
    return None


def _parts(obj: Object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return obj.get("spec") or {}, obj.get("status") or {}


def _deployment(obj: Object, now: datetime | None) -> Status:
    spec, status = _parts(obj)
    progressing = objects.condition(obj, "Progressing") or {}
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return _failed("ProgressDeadlineExceeded", "Progress deadline exceeded")
    wanted, have = spec.get("replicas", 1), status.get("replicas", 0)
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    available = status.get("availableReplicas", 0)
    if wanted > have:
        return _progress("LessReplicas", f"Replicas: {have}/{wanted}")
    if wanted > updated:
        return _progress("LessUpdated", f"Updated: {updated}/{wanted}")
    if have > wanted:
        return _progress("ExtraPods", f"Pending termination: {have - wanted}")
    if updated > available:
        return _progress("LessAvailable", f"Available: {available}/{updated}")
    if wanted > ready:
        return _progress("LessReady", f"Ready: {ready}/{wanted}")
    # Without a deadline the controller sets no such condition.
    done = progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable"
    if not done and spec.get("progressDeadlineSeconds", _NO_DEADLINE) != _NO_DEADLINE:
        return _progress("ReplicaSetNotAvailable", "ReplicaSet not Available")
    if not objects.is_true(obj, "Available"):
        return _progress("DeploymentNotAvailable", "Deployment not Available")
    return Status(Level.CURRENT, f"Deployment is available. Replicas: {have}")


def _replica_set(obj: Object, now: datetime | None) -> Status:
    spec, status = _parts(obj)
    if objects.is_true(obj, "ReplicaFailure"):
        return _progress("ReplicaFailure", "Replica Failure condition. Check Pods")
    wanted, have = spec.get("replicas", 1), status.get("replicas", 0)
    labelled, ready = status.get("fullyLabeledReplicas", 0), status.get("readyReplicas", 0)
    available = status.get("availableReplicas", 0)
    if wanted > labelled:
        return _progress("LessLabelled", f"Labelled: {labelled}/{wanted}")
    if wanted > available:
        return _progress("LessAvailable", f"Available: {available}/{wanted}")
    if wanted > ready:
        return _progress("LessReady", f"Ready: {ready}/{wanted}")
    if have > wanted:
        return _progress("ExtraPods", f"Pending termination: {have - wanted}")
    return Status(Level.CURRENT, f"ReplicaSet is available. Replicas: {have}")


def _stateful_set(obj: Object, now: datetime | None) -> Status:
    spec, status = _parts(obj)
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return Status(Level.CURRENT, "StatefulSet is using the ondelete update strategy")
    wanted, have = spec.get("replicas", 1), status.get("replicas", 0)
    ready, current, updated = (status.get(f"{name}Replicas", 0) for name in ("ready", "current", "updated"))
    if wanted > have:
        return _progress("LessReplicas", f"Replicas: {have}/{wanted}")
    if wanted > ready:
        return _progress("LessReady", f"Ready: {ready}/{wanted}")
    if have > wanted:
        return _progress("ExtraPods", f"Pending termination: {have - wanted}")
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    if partition is not None:
        if updated < wanted - partition:
            return _progress("PartitionRollout", f"updated: {updated}/{wanted - partition}")
        return Status(Level.CURRENT, f"Partition rollout complete. updated: {updated}")
    if wanted > current:
        return _progress("LessCurrent", f"current: {current}/{wanted}")
    if status.get("currentRevision") != status.get("updateRevision"):
        return _progress("RevisionMismatch", "Waiting for updated revision to match current")
    return Status(Level.CURRENT, f"All replicas scheduled as expected. Replicas: {have}")


def _daemon_set(obj: Object, now: datetime | None) -> Status:
    _, status = _parts(obj)
    if "observedGeneration" not in status:
        return _progress("NoObservedGeneration", "DaemonSet status.observedGeneration not found")
    if "desiredNumberScheduled" not in status:
        return _progress("NoDesiredNumber", "Missing .status.desiredNumberScheduled")
    wanted, scheduled = status["desiredNumberScheduled"], status.get("currentNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    ready = status.get("numberReady", 0)
    if wanted > scheduled:
        return _progress("LessCurrent", f"Current: {scheduled}/{wanted}")
    if wanted > updated:
        return _progress("LessUpdated", f"Updated: {updated}/{wanted}")
    if wanted > available:
        return _progress("LessAvailable", f"Available: {available}/{wanted}")
    if wanted > ready:
        return _progress("LessReady", f"Ready: {ready}/{wanted}")
    return Status(Level.CURRENT, f"All replicas scheduled as expected. Replicas: {wanted}")


def _pod(obj: Object, now: datetime | None) -> Status:
    _, status = _parts(obj)
    phase = status.get("phase")
    if phase == "Succeeded":
        return Status(Level.CURRENT, "Pod has completed successfully")
    if phase == "Failed":
        return Status(Level.CURRENT, "Pod has completed, but not successfully")
    if phase == "Running":
        if objects.is_true(obj, "Ready"):
            return Status(Level.CURRENT, "Pod is Ready")
        crashed = _crash_looping(status)
        if crashed:
            return _failed("ContainerCrashLooping", f"Containers in CrashLoop state: {','.join(crashed)}")
        return _progress("PodRunningNotReady", "Pod is running but is not Ready")
    if phase == "Pending":
        scheduled = objects.condition(obj, "PodScheduled")
        if scheduled and scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            created = objects.metadata(obj).get("creationTimestamp")
            if now is None or not created or now - parse_time(created) < _SCHEDULE_WINDOW:
                return _progress("PodNotScheduled", "Pod has not been scheduled")
            return _failed("PodUnschedulable", "Pod could not be scheduled")
        return _progress("PodPending", "Pod is in the Pending phase")
    if phase is None:
        return _progress("PodNotObserved", "Pod phase not available")
    return Status(Level.UNKNOWN, f"unknown phase {phase}")


def _crash_looping(status: Mapping[str, Any]) -> list[str]:
    return [
        item["name"]
        for item in status.get("containerStatuses") or ()
        if ((item.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    ]


def _job(obj: Object, now: datetime | None, must_end: bool = False) -> Status:
    spec, status = _parts(obj)
    wanted = spec.get("completions", spec.get("parallelism", 1))
    succeeded, failed = status.get("succeeded", 0), status.get("failed", 0)
    for item in status.get("conditions") or ():
        if item.get("status") != "True":
            continue
        if item.get("type") == "Complete":
            return Status(Level.CURRENT, f"Job Completed. succeeded: {succeeded}/{wanted}")
        if item.get("type") == "Failed":
            return _failed("JobFailed", f"Job Failed. failed: {failed}/{wanted}")
        if item.get("type") == "Suspended" and spec.get("suspend"):
            return Status(Level.CURRENT, "Job is suspended")
    if not status.get("startTime"):
        return _progress("JobNotStarted", "Job not started")
    message = f"Job in progress. success:{succeeded}, active: {status.get('active', 0)}, failed: {failed}"
    return _progress("JobInProgress", message) if must_end else Status(Level.CURRENT, message)


def _claim(obj: Object, now: datetime | None) -> Status:
    phase = _parts(obj)[1].get("phase", "unknown")
    if phase != "Bound":
        return _progress("NotBound", f"PVC is not Bound. phase: {phase}")
    return Status(Level.CURRENT, "PVC is Bound")


def _service(obj: Object, now: datetime | None) -> Status:
    """Only the cluster's own address counts: a load balancer may still be without one."""
    spec, _ = _parts(obj)
    if spec.get("type") == "LoadBalancer" and not spec.get("clusterIP"):
        return _progress("NoIPAssigned", "ClusterIP not set. Service type: LoadBalancer")
    return Status(Level.CURRENT, "Service is ready")


def _budget(obj: Object, now: datetime | None) -> Status:
    return Status(Level.CURRENT, "AllowedDisruptions has been computed.")


def _definition(obj: Object, now: datetime | None) -> Status:
    for item in _parts(obj)[1].get("conditions") or ():
        if item.get("type") == "NamesAccepted" and item.get("status") == "False":
            return _failed(item.get("reason", ""), item.get("message", ""))
        if item.get("type") == "Established":
            if item.get("status") == "False" and item.get("reason") != "Installing":
                return _failed(item.get("reason", ""), item.get("message", ""))
            if item.get("status") == "True":
                return Status(Level.CURRENT, "CRD is established")
    return _progress("Installing", "Install in progress")


def _always(obj: Object, now: datetime | None) -> Status:
    return Status(Level.CURRENT, "Resource is always ready")


_RULES: Final[Mapping[tuple[str, str], Callable[[Object, datetime | None], Status]]] = {
    ("", "Service"): _service,
    ("", "Pod"): _pod,
    ("", "Secret"): _always,
    ("", "ConfigMap"): _always,
    ("", "PersistentVolumeClaim"): _claim,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("policy", "PodDisruptionBudget"): _budget,
    ("batch", "CronJob"): _always,
    ("batch", "Job"): _job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
