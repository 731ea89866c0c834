"""The status of a Deployment: numbers, and the conditions Available, Progressing and ReplicaFailure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nerv.controllers.kubernetes.deployment import scaling
from nerv.kube import objects
from nerv.kube.objects import Object

NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
_NO_DEADLINE = 2**31 - 1


@dataclass(frozen=True)
class Condition:
    """A condition of a Deployment before it has times."""

    type: str
    status: str
    reason: str
    message: str


def put(conditions: Sequence[Object], new: Condition, now: datetime, *, renew: bool = False) -> list[Object]:
    """Set one condition. An equal status and reason changes nothing, unless `renew`, which moves lastUpdateTime."""
    current = find(conditions, new.type)
    if current and (current["status"], current["reason"]) == (new.status, new.reason) and not renew:
        return [*conditions]
    moment = objects.timestamp(now)
    kept = current is not None and current["status"] == new.status
    entry: Object = {
        "type": new.type,
        "status": new.status,
        "lastUpdateTime": moment,
        "lastTransitionTime": current["lastTransitionTime"] if kept and current else moment,
        "reason": new.reason,
        "message": new.message,
    }
    return [*(each for each in conditions if each["type"] != new.type), entry]


def find(conditions: Sequence[Object], type: str) -> Object | None:
    """The condition of a type."""
    return next((each for each in conditions if each["type"] == type), None)


def numbers(deployment: Object, sets: Sequence[Object], new: Object | None, now: datetime) -> Object:
    """The status with its counts and the condition Available; other conditions as they are."""
    available = scaling.observed(sets, "availableReplicas")
    counts = {
        "replicas": scaling.observed(sets, "replicas"),
        "updatedReplicas": scaling.observed([new] if new is not None else [], "replicas"),
        "readyReplicas": scaling.observed(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(scaling.total(sets) - available, 0),
    }
    before = deployment.get("status", {})
    status: Object = {"observedGeneration": objects.generation(deployment)}
    status |= {name: count for name, count in counts.items() if count}
    if before.get("collisionCount"):
        status["collisionCount"] = before["collisionCount"]
    if available >= scaling.replicas(deployment) - scaling.max_unavailable(deployment):
        condition = Condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        condition = Condition(
            "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        )
    status["conditions"] = put(before.get("conditions") or [], condition, now)
    return status


def deadline(deployment: Object) -> int | None:
    """progressDeadlineSeconds, None where there is none."""
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    return None if seconds == _NO_DEADLINE else int(seconds)


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all wanted pods are of the newest revision and available, and no others are left."""
    wanted = scaling.replicas(deployment)
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= objects.generation(deployment)
    )


def rollout(deployment: Object, sets: Sequence[Object], new: Object | None, now: datetime) -> Object:
    """The status during and after an update, with the conditions Progressing and ReplicaFailure."""
    status = numbers(deployment, sets, new, now)
    conditions: list[Object] = status["conditions"]
    if deadline(deployment) is None:
        conditions = [each for each in conditions if each["type"] != "Progressing"]
    else:
        conditions = _progress(deployment, status, conditions, new, now)
    failures = [each for each in map(_failure, [new] if new is not None else []) if each] or [
        each for each in map(_failure, sets) if each
    ]
    if failures:
        found = failures[0]
        condition = Condition("ReplicaFailure", found["status"], found["reason"], found.get("message", ""))
        conditions = put(conditions, condition, now)
    else:
        conditions = [each for each in conditions if each["type"] != "ReplicaFailure"]
    status["conditions"] = conditions
    return status


def _failure(replica_set: Object) -> Object | None:
    return objects.condition(replica_set, "ReplicaFailure")


def _progress(
    deployment: Object, status: Object, conditions: list[Object], new: Object | None, now: datetime
) -> list[Object]:
    current = find(conditions, "Progressing")
    settled = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    if settled and current and current["reason"] == NEW_AVAILABLE:
        return conditions
    subject = f'ReplicaSet "{objects.name(new)}"' if new is not None else f'Deployment "{objects.name(deployment)}"'
    if is_complete(deployment, status):
        text = f"{subject} has successfully progressed."
        return put(conditions, Condition("Progressing", "True", NEW_AVAILABLE, text), now)
    if _has_progressed(deployment.get("status", {}), status):
        text = f"{subject} is progressing."
        return put(conditions, Condition("Progressing", "True", "ReplicaSetUpdated", text), now, renew=True)
    if _is_late(deployment, current, now):
        text = f"{subject} has timed out progressing."
        return put(conditions, Condition("Progressing", "False", TIMED_OUT, text), now)
    return conditions


def _has_progressed(before: Object, after: Object) -> bool:
    def old_pods(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    return old_pods(after) < old_pods(before) or any(
        after.get(name, 0) > before.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _is_late(deployment: Object, current: Object | None, now: datetime) -> bool:
    if current is None or current["reason"] == NEW_AVAILABLE:
        return False
    if current["reason"] == TIMED_OUT:
        return True
    seconds = deadline(deployment)
    begun = objects.parse_time(current["lastUpdateTime"])
    return seconds is not None and begun + timedelta(seconds=seconds) < now


def seconds_left(deployment: Object, status: Object, now: datetime) -> float | None:
    """Seconds until the progress deadline has to be looked at, None where nothing is under way."""
    seconds = deadline(deployment)
    current = find(status.get("conditions") or [], "Progressing")
    if seconds is None or current is None or current["reason"] in (TIMED_OUT, NEW_AVAILABLE):
        return None
    if is_complete(deployment, status):
        return None
    due = objects.parse_time(current["lastUpdateTime"]) + timedelta(seconds=seconds)
    return max((due - now).total_seconds(), 0.0) + 1.0
