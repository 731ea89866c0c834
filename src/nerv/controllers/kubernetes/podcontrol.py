"""Creating and deleting pods for an owner, many at a time, with the owner's events.

Creation starts slowly (1, 2, 4, ... at once), so that a quota that refuses all of a thousand pods is asked a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nerv.controllers.runtime import EventRecorder, Writer
from nerv.kube import errors, objects
from nerv.kube.objects import Object
from nerv.kube.resources import PODS

BURST = 500


@dataclass(frozen=True)
class PodControl:
    """Writes pods and says so in the name of one controller."""

    writer: Writer
    recorder: EventRecorder

    async def create(self, owner: Object, pod: Object) -> Object | None:
        """Create one pod. None where its namespace is going away; every other refusal is raised, after an event."""
        try:
            created = await self.writer.create(PODS, pod, objects.namespace(owner))
        except errors.ApiError as error:
            if is_namespace_terminating(error):
                return None
            self.recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {objects.name(created)}")
        return created

    async def create_all(self, owner: Object, pods: Sequence[Object]) -> errors.ApiError | None:
        """Create pods in growing batches until one fails. Returns the first failure."""
        start, size = 0, 1
        while start < len(pods):
            batch = pods[start : start + size]
            results = await asyncio.gather(*(self.create(owner, pod) for pod in batch), return_exceptions=True)
            failure = first_failure(results)
            if failure is not None:
                return failure
            start += size
            size *= 2
        return None

    async def delete(self, owner: Object, pod: Object) -> None:
        """Delete one pod; one that is gone already is no error."""
        name = objects.name(pod)
        try:
            await self.writer.delete(PODS, pod)
        except errors.ApiError as error:
            self.recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    async def delete_all(self, owner: Object, pods: Iterable[Object]) -> errors.ApiError | None:
        """Delete pods at once. Returns the first failure."""
        results = await asyncio.gather(*(self.delete(owner, pod) for pod in pods), return_exceptions=True)
        return first_failure(results)


def first_failure(results: Iterable[object]) -> errors.ApiError | None:
    """The first refusal of the API among gathered results; anything else that was raised is raised again."""
    failure = None
    for result in results:
        if isinstance(result, errors.ApiError):
            failure = failure or result
        elif isinstance(result, BaseException):
            raise result
    return failure


def is_namespace_terminating(error: errors.ApiError) -> bool:
    """Whether a creation was refused because the namespace is being deleted."""
    return any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes) or (
        isinstance(error, errors.Forbidden) and "because it is being terminated" in error.message
    )
