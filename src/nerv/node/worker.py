"""The life of one pod on its node, from volumes to deletion. One task per pod.

A pod whose containers are not processes passes through the same steps in one go and is written once. What the API
has as status is compared with what is so at every change, and written again when somebody else changed it (the node
controller marks pods not ready while a node does not answer; nobody else would repair that).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from nerv.kube import errors
from nerv.kube.objects import Object, deleting
from nerv.kube.resources import PODS
from nerv.node import programs, status
from nerv.node.containers import Container, restore
from nerv.node.context import NodeContext
from nerv.node.programs import EmbeddedProgram
from nerv.node.sandbox import Sandbox
from nerv.node.status import ContainerState, PodState
from nerv.node.volumes import VolumeError

_log = logging.getLogger(__name__)
_FIRST_RETRY, _LAST_RETRY = 0.25, 10.0
_GRACE = 30
_UNREACHABLE_RETRY = 0.5
_GATHER = 0.002
"""Seconds in which changes are gathered: a simulated pod passes through its whole start in one write."""


class PodWorker:
    """Runs one pod. `update` tells of every change of the object, `vanished` that it is gone."""

    def __init__(self, context: NodeContext, sandbox: Sandbox) -> None:
        self.context = context
        self.sandbox = sandbox
        self.init: list[Container] = []
        self.containers: list[Container] = []
        self._started_at = sandbox.pod.get("status", {}).get("startTime") or context.timestamp()
        self._sandboxed = False
        self._stopping = False
        self._going = asyncio.Event()
        self._gone = False
        self._dirty = asyncio.Event()
        self._lost: set[str] = set()
        self._was_over = sandbox.pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        self._restore()

    @property
    def pod(self) -> Object:
        return self.sandbox.pod

    @property
    def runtime(self) -> str:
        """process, embedded or simulated."""
        return programs.pod_runtime(self.context.programs, self.pod)

    def find(self, name: str) -> Container | None:
        """A container by name."""
        return next((each for each in (*self.containers, *self.init) if each.name == name), None)

    def update(self, pod: Object) -> None:
        """The object has changed."""
        self.sandbox.pod = pod
        if deleting(pod):
            self._going.set()
        self._dirty.set()

    def vanished(self) -> None:
        """The object is gone: no more graces, and nothing to write."""
        self._gone = True
        self._going.set()

    async def renew_network(self) -> None:
        """The cluster's network was made anew: programs are started again in it, as the kubelet does after a reboot."""
        self.sandbox.forget_network()
        if self.runtime == programs.PROCESS and not self._stopping:
            text = "Pod sandbox changed, it will be killed and re-created."
            self.context.events.event(self.pod, "Normal", "SandboxChanged", text)
            await asyncio.gather(*(each.renew() for each in (*self.init, *self.containers)))

    async def refresh_volumes(self) -> None:
        """Bring projected content up to date; only real programs look at it."""
        if self._sandboxed and self.runtime == programs.PROCESS and not self._stopping:
            try:
                await self.sandbox.volumes.prepare(self.sandbox.pod_with_address())
            except (VolumeError, errors.ApiError, OSError) as error:
                _log.debug("volumes of %s not refreshed: %s", self.pod["metadata"]["name"], error)

    async def run(self) -> None:
        """Live until the pod is deleted; cancelled, it ends what runs and leaves the API alone."""
        life = asyncio.create_task(self._live(), name=f"life of {self.pod['metadata']['name']}")
        writer = asyncio.create_task(self._write_changes(), name=f"status of {self.pod['metadata']['name']}")
        going = asyncio.create_task(self._going.wait())
        try:
            while not going.done():
                pending = [task for task in (life, writer, going) if not task.done()]
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a defect is the supervisor's
            await self._end(life)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            await self.sandbox.close()
            await self._delete()
        finally:
            for task in (life, writer, going):
                task.cancel()
            await asyncio.gather(life, writer, going, return_exceptions=True)
            await self._stop_all(0, quietly=True)

    def _restore(self) -> None:
        spec, before = self.pod["spec"], self.pod.get("status", {})
        for specs, field, into in (
            (spec.get("initContainers", []), "initContainerStatuses", self.init),
            (spec["containers"], "containerStatuses", self.containers),
        ):
            entries = {entry["name"]: entry for entry in before.get(field, [])}
            for each in specs:
                program = programs.find(self.context.programs, each["image"])
                runtime = programs.runtime_of(program)
                works = isinstance(program, EmbeddedProgram) and program.run is not None
                identity = f"nerv.dev/{runtime}/{programs.image_name(each['image'])}"
                found = restore(each, entries.get(each["name"]), identity, runtime, works, self.context.timestamp())
                if found.lost:
                    self._lost.add(each["name"])
                init = into is self.init and not status.is_sidecar(each)
                into.append(Container(self.context, self.sandbox, each, found.state, self._dirty.set, init=init))

    async def _live(self) -> None:
        if self._was_over:
            return
        await self._wait_for_volumes()
        self._sandboxed = True
        policy = self.pod["spec"].get("restartPolicy", "Always")
        sidecars = []
        for container in self.init:
            if status.is_sidecar(container.spec):
                sidecars.append(asyncio.create_task(container.live("Always")))
                await container.began.wait()
            elif not await self._initialize(container, policy):
                self._dirty.set()
                await _cancel(sidecars)
                return
        lives = [asyncio.create_task(self._live_on(container, policy)) for container in self.containers]
        try:
            await asyncio.gather(*lives)
            # All have ended for good: sidecars go last.
            self._stopping = True
            await asyncio.gather(*(each.stop(_GRACE) for each in self.init if status.is_sidecar(each.spec)))
            await asyncio.gather(*sidecars)
            self._dirty.set()
        finally:
            await _cancel([*lives, *sidecars])

    async def _live_on(self, container: Container, policy: str) -> None:
        state = container.state
        if state.kind == status.TERMINATED and container.name not in self._lost:
            code = state.detail.get("exitCode", 0)
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
        if state.kind == status.TERMINATED and policy == "Never":
            return
        if state.kind == status.RUNNING:
            # Nothing of it ended with NERV: it goes on as the API has it.
            container.resume()
        await container.live(policy)

    async def _initialize(self, container: Container, policy: str) -> bool:
        """Run one init container until it succeeds. False when the pod has failed with it."""
        ended = container.state.kind == status.TERMINATED and not container.state.detail.get("exitCode")
        if ended and container.runtime == programs.SIMULATED:
            return True
        return await container.live("Never" if policy == "Never" else "OnFailure") == 0

    async def _wait_for_volumes(self) -> None:
        delay = _FIRST_RETRY
        while True:
            try:
                self.sandbox.volumes.check(self.pod)
                if self.runtime == programs.PROCESS:
                    await self.sandbox.volumes.prepare(self.sandbox.pod_with_address())
                return
            except (VolumeError, errors.ApiError) as error:
                self.context.events.event(self.pod, "Warning", "FailedMount", str(error))
                self._dirty.set()
            await self.context.sleep(delay)
            delay = min(delay * 2, _LAST_RETRY)

    async def _end(self, life: asyncio.Task[None]) -> None:
        """SIGTERM and the grace period for all containers at once, then the final status."""
        self._stopping = True
        grace = 0.0 if self._gone else float(self.pod["metadata"].get("deletionGracePeriodSeconds", _GRACE))
        await self._stop_all(grace)
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)

    async def _stop_all(self, grace: float, *, quietly: bool = False) -> None:
        await asyncio.gather(*(each.stop(grace, quietly=quietly) for each in (*self.containers, *self.init)))

    async def _delete(self) -> None:
        metadata = self.pod["metadata"]
        while not self._gone:
            try:
                await self.context.client.delete(
                    PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"], grace_period=0
                )
                return
            except (errors.NotFound, errors.Conflict):
                return
            except (errors.ApiError, OSError) as error:
                _log.warning("pod %s not deleted yet: %s", metadata["name"], error)
            await self.context.sleep(_UNREACHABLE_RETRY)

    def states(self) -> PodState:
        """Everything that the status is made from."""
        waiting = "PodInitializing" if self.init else "ContainerCreating"
        host = self.context.config.address
        return PodState(
            [_named(each.state, waiting) for each in self.init],
            [_named(each.state, waiting) for each in self.containers],
            (self.sandbox.address if self._sandboxed else "", host),
            self._started_at,
            self._sandboxed,
            self._stopping,
        )

    async def _write_changes(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.sleep(_GATHER)
            if self._gone or self._was_over:
                return  # nothing is left to say; also what an eviction has written stays
            try:
                await self._write()
            except errors.NotFound:
                return
            except (errors.ApiError, OSError) as error:
                _log.warning("status of pod %s not written: %s", self.pod["metadata"]["name"], error)
                self._dirty.set()
                await self.context.sleep(_UNREACHABLE_RETRY)

    def _annotations(self) -> dict[str, str]:
        """What stands behind the pod on this machine."""
        rewritten = [f"{each.name}: {each.rewritten}" for each in (*self.init, *self.containers) if each.rewritten]
        told = programs.told(self.context.programs, self.pod)
        return {**told, programs.REWRITTEN_ANNOTATION: "\n".join(rewritten)} if rewritten else told

    async def _write(self) -> None:
        wanted = status.render(self.pod, self.states(), self.context.timestamp())
        metadata = self.pod["metadata"]
        present = metadata.get("annotations") or {}
        missing = {name: text for name, text in self._annotations().items() if present.get(name) != text}
        if not missing and not status.differs(self.pod, wanted):
            return
        patch: Object = {"status": wanted}
        if missing:
            # The API takes annotations of a pod together with its status.
            patch["metadata"] = {"annotations": missing}
        answer = await self.context.client.patch(
            PODS, metadata["name"], metadata["namespace"], patch, subresource="status"
        )
        if answer["metadata"]["uid"] == metadata["uid"]:
            self.context.informers.of(PODS).observe(answer)


def _named(state: ContainerState, waiting: str) -> ContainerState:
    """A container that has not begun says what it waits for."""
    untouched = state.kind == status.WAITING and state.detail.get("reason") in ("ContainerCreating", "PodInitializing")
    return replace(state, detail={"reason": waiting}) if untouched else state


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
