"""The writes of a Job: pods are made and ended, counted, released; the Job starts, suspends and finishes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nerv.controllers.kubernetes import claims, pods
from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.job import conditions, counting, indexes
from nerv.controllers.kubernetes.job.conditions import Verdict
from nerv.controllers.kubernetes.job.counting import FINALIZER, Tally
from nerv.controllers.kubernetes.podcontrol import BURST, PodControl, first_failure
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, RetryAfter, Watch
from nerv.kube import errors, objects, selectors
from nerv.kube.objects import Object
from nerv.kube.resources import JOBS, PODS

_COMPONENT = "job-controller"


def jobs(context: Context) -> Controller:
    """The controller of batch/v1 Jobs."""
    owners = context.informers.of(JOBS)
    pod_informer = context.informers.of(PODS)
    reconciler = _Jobs(context, owners, pod_informer, PodControl(context.writer, context.recorder(_COMPONENT)))
    watches = (
        Watch(owners),
        Watch(pod_informer, lambda old, new: claims.owner_keys(owners, "Job", old, new)),
    )
    return Controller(_COMPONENT, reconciler.reconcile, watches, concurrency=8, clock=context.clock)


@dataclass(frozen=True)
class _Jobs:
    context: Context
    owners: Informer
    pods: Informer
    control: PodControl

    async def reconcile(self, key: Key) -> Outcome:
        """Count, decide, make or end pods, write the status, release what was counted."""
        job = self.owners.get(key.namespace, key.name)
        if job is None:
            await self._release([pod for pod in self.pods.list(key.namespace) if _was_owned_by(pod, key.name)])
            return Done()
        mine = await self._claimed(job)
        if conditions.is_finished(job) or objects.deleting(job):
            await self._release(mine)
            return Done()
        now = self.context.clock.now()
        job = await self._start(job)
        result = counting.tally(job, mine)
        active = [pod for pod in mine if pods.is_active(pod)]
        verdict = conditions.verdict(job, result, mine, len(active), now)
        failure: errors.ApiError | None = None
        wait: float | None = None
        if verdict is not None or job["spec"].get("suspend"):
            failure = await self._end(job, active)
        elif not objects.deleting(job):
            failure, wait = await self._scale(job, result, mine, active)
        mine = await self._claimed(job)
        job = await self._write(job, result, mine, verdict)
        await self._release(result.release)
        if failure is not None:
            raise failure
        return self._next(job, wait)

    def _next(self, job: Object, wait: float | None) -> Outcome:
        left = conditions.deadline_in(job, self.context.clock.now())
        waits = [each for each in (wait, left) if each is not None]
        if conditions.is_finished(job) or not waits:
            return Done()
        return RetryAfter(max(min(waits), 0.001))

    async def _claimed(self, job: Object) -> list[Object]:
        selector = job["spec"].get("selector") or {
            "matchLabels": {"batch.kubernetes.io/controller-uid": objects.uid(job)}
        }
        candidates = self.pods.list(objects.namespace(job))
        chosen = selectors.from_object(selector)
        return await claims.claim(self.context.writer, JOBS, job, PODS, chosen, candidates)

    async def _start(self, job: Object) -> Object:
        """Note when the Job began to run, or that it is suspended or resumed."""
        status = job.get("status", {})
        now = self.context.clock.now()
        suspended = objects.is_true(job, "Suspended")
        if job["spec"].get("suspend"):
            if suspended:
                return job
            wanted = {name: value for name, value in status.items() if name != "startTime"}
            wanted["conditions"] = conditions.add(job, "Suspended", "JobSuspended", "Job suspended", now)
            self.control.recorder.event(job, "Normal", "Suspended", "Job suspended")
        elif suspended:
            resumed = conditions.add(job, "Suspended", "JobResumed", "Job resumed", now, status="False")
            wanted = {**status, "startTime": objects.timestamp(now), "conditions": resumed}
            self.control.recorder.event(job, "Normal", "Resumed", "Job resumed")
        elif not status.get("startTime"):
            wanted = {**status, "startTime": objects.timestamp(now)}
        else:
            return job
        return await self.context.writer.status(JOBS, job, wanted)

    async def _end(self, job: Object, active: Sequence[Object]) -> errors.ApiError | None:
        return await self.control.delete_all(job, active)

    async def _scale(
        self, job: Object, result: Tally, mine: Sequence[Object], active: list[Object]
    ) -> tuple[errors.ApiError | None, float | None]:
        """Make or end pods. Returns the first refusal, and the seconds to wait before making pods again."""
        wanted = counting.wanted_active(job, result, len(active))
        if counting.is_indexed(job):
            surplus = _doubled(active, result.completed)
            if surplus:
                return await self.control.delete_all(job, surplus), None
        if len(active) > wanted:
            return await self.control.delete_all(job, pods.deletion_order(active)[: len(active) - wanted]), None
        terminating = sum(objects.deleting(pod) and not pods.is_finished(pod) for pod in mine)
        if job["spec"].get("podReplacementPolicy") == "Failed":
            wanted -= terminating
        missing = wanted - len(active)
        if missing <= 0:
            return None, None
        wait = conditions.back_off_in(mine, self.context.clock.now())
        if wait > 0:
            return None, wait
        return await self.control.create_all(job, self._new_pods(job, result, active, min(missing, BURST))), None

    def _new_pods(self, job: Object, result: Tally, active: Sequence[Object], count: int) -> list[Object]:
        if not counting.is_indexed(job):
            return [_new_pod(job, None) for _ in range(count)]
        taken = result.completed | {indexes.of(pod) for pod in active}
        free = indexes.missing(count, int(job["spec"]["completions"]), taken)
        return [_new_pod(job, index) for index in free]

    async def _write(self, job: Object, result: Tally, mine: Sequence[Object], verdict: Verdict | None) -> Object:
        """The numbers, and the conditions once the Job is over: the final one when no pod is left uncounted."""
        now = self.context.clock.now()
        active = [pod for pod in mine if pods.is_active(pod)]
        terminating = sum(objects.deleting(pod) and not pods.is_finished(pod) for pod in mine)
        before = job.get("status", {})
        status: Object = {
            name: before[name] for name in ("conditions", "startTime", "completionTime") if name in before
        }
        numbers = {"active": len(active), "succeeded": result.succeeded, "failed": result.failed}
        status |= {name: count for name, count in numbers.items() if count}
        status["ready"] = sum(map(pods.is_ready, active))
        status["terminating"] = terminating
        status["uncountedTerminatedPods"] = {name: uids for name, uids in result.uncounted.items() if uids}
        if counting.is_indexed(job) and result.completed:
            status["completedIndexes"] = indexes.render(result.completed)
        finished = False
        if verdict is not None:
            status["conditions"] = conditions.add(job, verdict.interim, verdict.reason, verdict.message, now)
            finished = not active and not terminating and not result.pending
        if verdict is not None and finished:
            changed = {**job, "status": status}
            status["conditions"] = conditions.add(changed, verdict.final, verdict.reason, verdict.message, now)
            if verdict.final == "Complete":
                status["completionTime"] = objects.timestamp(now)
        written = await self.context.writer.status(JOBS, job, status)
        if verdict is not None and finished:
            self._say(written, verdict)
        return written

    def _say(self, job: Object, verdict: Verdict) -> None:
        if verdict.final == "Complete":
            self.control.recorder.event(job, "Normal", "Completed", "Job completed")
        else:
            self.control.recorder.event(job, "Warning", verdict.reason, verdict.message)

    async def _release(self, counted: Sequence[Object]) -> None:
        """Take the finalizer off pods that need not be counted any more."""

        async def release(pod: Object) -> None:
            current = self.pods.get(objects.namespace(pod), objects.name(pod)) or pod
            left = [each for each in objects.finalizers(current) if each != FINALIZER]
            if len(left) == len(objects.finalizers(current)) or objects.uid(current) != objects.uid(pod):
                return
            pinned = {"uid": objects.uid(pod), "finalizers": left or None}
            try:
                await self.context.writer.patch(PODS, pod, {"metadata": pinned})
            except (errors.NotFound, errors.Conflict):
                return

        failure = first_failure(await asyncio.gather(*map(release, counted), return_exceptions=True))
        if failure is not None:
            raise failure


def _was_owned_by(pod: Object, name: str) -> bool:
    reference = objects.controller_of(pod)
    return reference is not None and (reference["kind"], reference["name"]) == ("Job", name)


def _doubled(active: Sequence[Object], completed: set[int]) -> list[Object]:
    """Pods whose index is done, beyond the range, or run by an older pod."""
    seen = set(completed)
    surplus = []
    for pod in sorted(active, key=lambda each: each["metadata"].get("creationTimestamp", "")):
        index = indexes.of(pod)
        if index in seen or index < 0:
            surplus.append(pod)
        seen.add(index)
    return surplus


def _new_pod(job: Object, index: int | None) -> Object:
    uid, name = objects.uid(job), objects.name(job)
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = job["spec"]["template"]
    if index is None:
        return pods.from_template(template, job, labels=labels, finalizers=(FINALIZER,))
    labels[indexes.INDEX] = str(index)
    marks = {indexes.INDEX: str(index)}
    pod = pods.from_template(template, job, labels=labels, annotations=marks, finalizers=(FINALIZER,))
    pod["metadata"]["generateName"] = f"{name}-{index}-"
    pod["spec"]["hostname"] = f"{name}-{index}"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{indexes.INDEX}']"}}
    for kind in ("initContainers", "containers"):
        for container in pod["spec"].get(kind) or []:
            known = container.get("env") or []
            if not any(each["name"] == "JOB_COMPLETION_INDEX" for each in known):
                container["env"] = [*known, {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}]
    return pod
