"""When a Job is over, and how its conditions say so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nerv.controllers.kubernetes import pods
from nerv.controllers.kubernetes.job.counting import Tally, is_complete
from nerv.kube import objects
from nerv.kube.objects import Object

_FIRST_BACK_OFF = 10.0
_LAST_BACK_OFF = 600.0


@dataclass(frozen=True)
class Verdict:
    """A Job is over: its final condition Complete or Failed, with reason and message."""

    final: str
    reason: str
    message: str

    @property
    def interim(self) -> str:
        """The condition that announces the final one while pods still end."""
        return "SuccessCriteriaMet" if self.final == "Complete" else "FailureTarget"


def is_finished(job: Object) -> bool:
    """Whether the final condition is there."""
    return objects.is_true(job, "Complete") or objects.is_true(job, "Failed")


def verdict(job: Object, result: Tally, mine: Sequence[Object], active: int, now: datetime) -> Verdict | None:
    """Whether the Job is over, for which reason; one announced before stays."""
    for final, interim in (("Failed", "FailureTarget"), ("Complete", "SuccessCriteriaMet")):
        announced = objects.condition(job, interim)
        if announced is not None and announced["status"] == "True":
            return Verdict(final, announced["reason"], announced.get("message", ""))
    limit = int(job["spec"].get("backoffLimit", 6))
    if result.all_failed > limit or _restarted_too_often(job, mine, limit):
        return Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = deadline_in(job, now)
    if left is not None and left <= 0:
        return Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    if is_complete(job, result, active):
        return Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
    return None


def deadline_in(job: Object, now: datetime) -> float | None:
    """Seconds left of activeDeadlineSeconds, None where there is no deadline or the clock stands still."""
    seconds = job["spec"].get("activeDeadlineSeconds")
    started = job.get("status", {}).get("startTime")
    if seconds is None or not started or job["spec"].get("suspend"):
        return None
    return (objects.parse_time(started) + timedelta(seconds=seconds) - now).total_seconds()


def _restarted_too_often(job: Object, mine: Sequence[Object], limit: int) -> bool:
    """Containers that are restarted in place count against the limit as well."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        status.get("restartCount", 0)
        for pod in mine
        if pods.phase(pod) in ("Running", "Pending")
        for kind in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(kind) or []
    )
    return bool(restarts > 0 if limit == 0 else restarts >= limit)


def back_off_in(mine: Sequence[Object], now: datetime) -> float:
    """Seconds until a pod may be made again after failures: 10 s, doubled at each since the last success, at most
    10 minutes."""
    ended = sorted(((_ended(pod), pods.phase(pod)) for pod in mine if pods.is_finished(pod)), reverse=True)
    failures = 0
    for _, phase in ended:
        if phase == "Succeeded":
            break
        failures += 1
    if not failures:
        return 0.0
    delay = min(_FIRST_BACK_OFF * 2.0 ** (failures - 1), _LAST_BACK_OFF)
    return max((objects.parse_time(ended[0][0]) + timedelta(seconds=delay) - now).total_seconds(), 0.0)


def _ended(pod: Object) -> str:
    """When the last container of a pod ended."""
    status = pod.get("status", {})
    moments = [
        state["finishedAt"]
        for each in status.get("containerStatuses") or []
        if (state := (each.get("state") or {}).get("terminated")) and state.get("finishedAt")
    ]
    ready = objects.condition(pod, "Ready") or {}
    fallback: str = ready.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return max(moments, default=fallback)


def add(job: Object, type: str, reason: str, message: str, now: datetime, *, status: str = "True") -> list[Object]:
    """The Job's conditions with one set; Job conditions have a lastProbeTime beside the usual."""
    conditions = job.get("status", {}).get("conditions") or []
    present = next((each for each in conditions if each["type"] == type), None)
    if present is not None and present["status"] == status:
        return [*conditions]
    fresh = {
        "type": type,
        "status": status,
        "lastProbeTime": objects.timestamp(now),
        "lastTransitionTime": objects.timestamp(now),
        "reason": reason,
        "message": message,
    }
    return [*(each for each in conditions if each["type"] != type), fresh]
