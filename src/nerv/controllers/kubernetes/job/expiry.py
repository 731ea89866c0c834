"""Finished Jobs go after `ttlSecondsAfterFinished`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from nerv.controllers.kubernetes.context import Context
from nerv.controllers.runtime import Controller, Done, Informer, Key, Outcome, RetryAfter, Watch
from nerv.kube import objects
from nerv.kube.resources import JOBS


def finished_jobs(context: Context) -> Controller:
    """The controller that removes finished Jobs in time, in the foreground as the original does."""
    owners = context.informers.of(JOBS)
    return Controller(
        "ttl-after-finished-controller", _Expiry(context, owners).reconcile, (Watch(owners),), clock=context.clock
    )


@dataclass(frozen=True)
class _Expiry:
    context: Context
    owners: Informer

    async def reconcile(self, key: Key) -> Outcome:
        """Delete the Job when its time has come, else come back then."""
        job = self.owners.get(key.namespace, key.name)
        if job is None or objects.deleting(job):
            return Done()
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        final = objects.condition(job, "Complete") or objects.condition(job, "Failed")
        if seconds is None or final is None or final["status"] != "True":
            return Done()
        due = objects.parse_time(final["lastTransitionTime"]) + timedelta(seconds=seconds)
        left = (due - self.context.clock.now()).total_seconds()
        if left > 0:
            return RetryAfter(left)
        await self.context.writer.delete(JOBS, job, propagation="Foreground")
        return Done()
