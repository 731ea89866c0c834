"""The writes of a CronJob. Behaviour of k8s.io/kubernetes/pkg/controller/cronjob (v2) 1.31."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.kubernetes.cronjob import schedule
from nerv.controllers.kubernetes.job.conditions import is_finished
from nerv.controllers.kubernetes.podcontrol import is_namespace_terminating
from nerv.controllers.runtime import Controller, Done, EventRecorder, Informer, Key, Outcome, RetryAfter, Watch
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import CRON_JOBS, JOBS

_SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_TOO_MANY = 100


def cron_jobs(context: Context) -> Controller:
    """The controller of batch/v1 CronJobs."""
    owners = context.informers.of(CRON_JOBS)
    jobs = context.informers.of(JOBS)
    reconciler = _CronJobs(context, owners, jobs, context.recorder("cronjob-controller"))
    return Controller(
        "cronjob-controller", reconciler.reconcile, (Watch(owners), Watch(jobs, _owner)), clock=context.clock
    )


def _owner(old: Object | None, new: Object | None) -> Iterable[Key]:
    job = new if new is not None else old
    reference = objects.controller_of(job) if job is not None else None
    if job is None or reference is None or reference["kind"] != "CronJob":
        return ()
    return (Key(objects.namespace(job), reference["name"]),)


@dataclass(frozen=True)
class _CronJobs:
    context: Context
    owners: Informer
    jobs: Informer
    recorder: EventRecorder

    async def reconcile(self, key: Key) -> Outcome:
        """Note what ended, make the Job that is due, come back for the next."""
        owner = self.owners.get(key.namespace, key.name)
        if owner is None:
            return Done()
        mine = [job for job in self.jobs.list(key.namespace) if _is_of(job, owner)]
        owner = await self._note(owner, mine)
        await self._forget(owner, mine)
        if objects.deleting(owner) or owner["spec"].get("suspend"):
            return Done()
        plan = self._plan(owner)
        if plan is None:
            return Done()
        now = self.context.clock.now()
        due = _last_due(plan, _since(owner), now)
        if due is not None:
            await self._due(owner, mine, due)
        upcoming = plan.after(now)
        return RetryAfter((upcoming - now).total_seconds()) if upcoming is not None else Done()

    def _plan(self, owner: Object) -> schedule.Cron | schedule.Every | None:
        name = owner["spec"].get("timeZone")
        try:
            zone = zoneinfo.ZoneInfo(name) if name else UTC
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            text = f"invalid timeZone: {name!r}: unknown time zone {name}"
            self.recorder.event(owner, "Warning", "UnknownTimeZone", text)
            return None
        try:
            return schedule.parse(owner["spec"]["schedule"], zone)
        except ValueError as error:
            text = f"unparseable schedule: {owner['spec']['schedule']!r} : {error}"
            self.recorder.event(owner, "Warning", "UnparseableSchedule", text)
            return None

    async def _note(self, owner: Object, mine: Sequence[Object]) -> Object:
        """Keep `status.active` and the time of the last success."""
        status = dict(owner.get("status", {}))
        for job in mine:
            if not is_finished(job) and not _is_scheduled(job):
                text = f"Saw a job that the controller did not create or forgot: {objects.name(job)}"
                self.recorder.event(owner, "Warning", "UnexpectedJob", text)
        active = [job for job in mine if not is_finished(job) and _is_scheduled(job)]
        listed = {each["uid"] for each in status.get("active") or []}
        for job in mine:
            if objects.uid(job) in listed and is_finished(job):
                result = "Complete" if objects.is_true(job, "Complete") else "Failed"
                text = f"Saw completed job: {objects.name(job)}, condition: {result}"
                self.recorder.event(owner, "Normal", "SawCompletedJob", text)
        references = [_reference(job) for job in sorted(active, key=objects.name)]
        ended = [job["status"]["completionTime"] for job in mine if job.get("status", {}).get("completionTime")]
        if references:
            status["active"] = references
        else:
            status.pop("active", None)
        if ended:
            status["lastSuccessfulTime"] = max([*ended, status.get("lastSuccessfulTime", "")])
        return await self.context.writer.status(CRON_JOBS, owner, status)

    async def _forget(self, owner: Object, mine: Sequence[Object]) -> None:
        """Remove finished Jobs beyond the history limits, oldest first."""
        limits = {
            "Complete": owner["spec"].get("successfulJobsHistoryLimit", 3),
            "Failed": owner["spec"].get("failedJobsHistoryLimit", 1),
        }
        for type, limit in limits.items():
            ended = [job for job in mine if objects.is_true(job, type) and not objects.deleting(job)]
            ended.sort(key=lambda job: job["status"].get("startTime", ""))
            for job in ended[: max(len(ended) - limit, 0)]:
                await self.context.writer.delete(JOBS, job)
                self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted job {objects.name(job)}")

    async def _due(self, owner: Object, mine: Sequence[Object], due: datetime) -> None:
        seconds = owner["spec"].get("startingDeadlineSeconds")
        if seconds is not None and due + timedelta(seconds=seconds) < self.context.clock.now():
            text = f"Missed scheduled time to start a job: {due:%a, %d %b %Y %H:%M:%S %z}"
            self.recorder.event(owner, "Warning", "MissSchedule", text)
            return
        name = f"{objects.name(owner)}-{int(due.timestamp()) // 60}"
        if any(objects.name(job) == name for job in mine):
            return
        active = [job for job in mine if not is_finished(job) and _is_scheduled(job)]
        policy = owner["spec"].get("concurrencyPolicy", "Allow")
        if active and policy == "Forbid":
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.recorder.event(owner, "Normal", "JobAlreadyActive", text)
            return
        if policy == "Replace":
            for job in active:
                await self.context.writer.delete(JOBS, job)
                self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted job {objects.name(job)}")
        await self._create(owner, name, due)

    async def _create(self, owner: Object, name: str, due: datetime) -> None:
        template = owner["spec"]["jobTemplate"]
        source = template.get("metadata") or {}
        zone = owner["spec"].get("timeZone")
        moment = due.astimezone(zoneinfo.ZoneInfo(zone)) if zone else due
        text = objects.timestamp(moment) if not zone else moment.isoformat(timespec="seconds")
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": objects.namespace(owner),
                "labels": source.get("labels") or {},
                "annotations": {**(source.get("annotations") or {}), _SCHEDULED_AT: text},
                "ownerReferences": [objects.owner_reference(owner)],
            },
            "spec": objects.clone(template["spec"]),
        }
        try:
            created = await self.context.writer.create(JOBS, job)
        except errors.AlreadyExists:
            return
        except errors.ApiError as error:
            if is_namespace_terminating(error):
                return
            self.recorder.event(owner, "Warning", "FailedCreate", f"Error creating job: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created job {name}")
        status = dict(owner.get("status", {}))
        status["active"] = [*(status.get("active") or []), _reference(created)]
        await self.context.writer.status(CRON_JOBS, owner, {**status, "lastScheduleTime": objects.timestamp(due)})


def _is_of(job: Object, owner: Object) -> bool:
    return (objects.controller_of(job) or {}).get("uid") == objects.uid(owner)


def _is_scheduled(job: Object) -> bool:
    """Whether this controller made it; `kubectl create job --from` makes others, which are not on its list."""
    return _SCHEDULED_AT in objects.annotations(job)


def _reference(job: Object) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": objects.name(job),
        "namespace": objects.namespace(job),
        "uid": objects.uid(job),
        "resourceVersion": objects.resource_version(job),
    }


def _since(owner: Object) -> datetime:
    last = owner.get("status", {}).get("lastScheduleTime")
    return objects.parse_time(last or owner["metadata"]["creationTimestamp"])


def _last_due(plan: schedule.Cron | schedule.Every, since: datetime, now: datetime) -> datetime | None:
    """The latest moment of the schedule in (since, now], None if there is none."""
    found = None
    upcoming = plan.after(since)
    steps = 0
    while upcoming is not None and upcoming <= now:
        found = upcoming
        steps += 1
        if steps > _TOO_MANY:
            # far behind: jump close to now instead of walking through every missed moment
            distance = max((upcoming - since) / steps, timedelta(minutes=1))
            since, steps = max(upcoming, now - distance * 2), 0
            upcoming = plan.after(since)
            continue
        upcoming = plan.after(upcoming)
    return found
