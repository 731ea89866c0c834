"""How the pods of a Job are counted, each exactly once whatever crashes in between. Pure.

A finished pod keeps the finalizer batch.kubernetes.io/job-tracking until its uid stands in
`status.uncountedTerminatedPods`; only then the finalizer goes, and only after that the uid becomes a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nerv.controllers.kubernetes import pods
from nerv.controllers.kubernetes.job import indexes
from nerv.kube import objects
from nerv.kube.objects import Object

FINALIZER = "batch.kubernetes.io/job-tracking"


@dataclass
class Tally:
    """Numbers of a Job, and the pods whose finalizer may go once the numbers are written."""

    succeeded: int = 0
    failed: int = 0
    uncounted: dict[str, list[str]] = field(default_factory=lambda: {"succeeded": [], "failed": []})
    completed: set[int] = field(default_factory=set)
    release: list[Object] = field(default_factory=list)

    @property
    def all_succeeded(self) -> int:
        """Counted and yet to be counted."""
        return self.succeeded + len(self.uncounted["succeeded"])

    @property
    def all_failed(self) -> int:
        """Counted and yet to be counted."""
        return self.failed + len(self.uncounted["failed"])

    @property
    def pending(self) -> bool:
        """Whether a finished pod is not a number yet."""
        return bool(self.uncounted["succeeded"] or self.uncounted["failed"])


def is_indexed(job: Object) -> bool:
    """Whether each pod stands for one index."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def tally(job: Object, mine: Sequence[Object]) -> Tally:
    """The numbers after one more look at the pods."""
    status = job.get("status", {})
    by_uid = {objects.uid(pod): pod for pod in mine}
    result = Tally(status.get("succeeded", 0), status.get("failed", 0))
    if is_indexed(job):
        result.completed = indexes.parse(status.get("completedIndexes", ""), job["spec"]["completions"])
    _count_released(result, status.get("uncountedTerminatedPods") or {}, by_uid, indexed=is_indexed(job))
    known = {uid for uids in result.uncounted.values() for uid in uids}
    for uid, pod in by_uid.items():
        if not _is_held(pod):
            continue
        if uid in known:
            result.release.append(pod)
        elif pods.phase(pod) == "Succeeded":
            _add_success(job, result, pod)
        elif pods.phase(pod) == "Failed" or _is_lost(pod):
            if pods.phase(pod) == "Failed" or not job["spec"].get("suspend"):
                result.uncounted["failed"].append(uid)
            result.release.append(pod)
    if is_indexed(job):
        result.succeeded = len(result.completed)
    return result


def _count_released(
    result: Tally, uncounted: Mapping[str, list[str]], by_uid: Mapping[str, Object], *, indexed: bool
) -> None:
    """What was noted before becomes a number once its finalizer is gone."""
    for uid in uncounted.get("succeeded") or []:
        if uid in by_uid and _is_held(by_uid[uid]):
            result.uncounted["succeeded"].append(uid)
        elif not indexed:
            result.succeeded += 1
    for uid in uncounted.get("failed") or []:
        if uid in by_uid and _is_held(by_uid[uid]):
            result.uncounted["failed"].append(uid)
        else:
            result.failed += 1


def _add_success(job: Object, result: Tally, pod: Object) -> None:
    if is_indexed(job):
        # an index completes once, however many pods it had
        index = indexes.of(pod)
        if 0 <= index < job["spec"]["completions"]:
            result.completed.add(index)
    else:
        result.uncounted["succeeded"].append(objects.uid(pod))
    result.release.append(pod)


def _is_lost(pod: Object) -> bool:
    """Whether it was deleted and nobody will report its end: it never ran, or was not given time to."""
    ran = pods.phase(pod) == "Running" and pod["metadata"].get("deletionGracePeriodSeconds", 0) > 0
    return objects.deleting(pod) and not ran


def _is_held(pod: Object) -> bool:
    return FINALIZER in objects.finalizers(pod)


def wanted_active(job: Object, result: Tally, active: int) -> int:
    """How many pods should run now."""
    spec = job["spec"]
    parallelism = int(spec.get("parallelism", 1))
    completions = spec.get("completions")
    if completions is None:
        # a work queue: once one pod succeeded, the others end by themselves
        return active if result.all_succeeded else parallelism
    return max(min(parallelism, int(completions) - result.all_succeeded), 0)


def is_complete(job: Object, result: Tally, active: int) -> bool:
    """Whether all that was asked for succeeded."""
    completions = job["spec"].get("completions")
    if completions is None:
        return result.all_succeeded > 0 and active == 0
    return result.all_succeeded >= int(completions)
