"""The life of one container: started, probed, restarted with a growing delay, stopped.

What a container is (process, coroutine, nothing) is decided once, by its image; the worker of the pod owns the state.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path

from nerv.kube.objects import Object
from nerv.kube.resources import PODS
from nerv.node import environment, local, peers, probes, processes, programs, volumes
from nerv.node.context import NodeContext
from nerv.node.environment import ConfigError
from nerv.node.logs import LogFile
from nerv.node.processes import ContainerSpec, StartError
from nerv.node.programs import EmbeddedProgram, PodContext, ProcessProgram
from nerv.node.rootfs import Mount
from nerv.node.runs import CoroutineRun, IdleRun, InstantRun, ProcessRun, Run
from nerv.node.sandbox import Sandbox
from nerv.node.status import RUNNING, TERMINATED, ContainerState, from_status
from nerv.node.volumes import VolumeError

_log = logging.getLogger(__name__)
_STABLE = 600.0
"""Seconds after which a container that ran is forgiven its earlier ends."""
_CONFIG_RETRY = 2.0
"""Seconds until a container is tried again whose configuration was incomplete."""
_NO_ONE = 65532
_LONGEST_MESSAGE = 4096
_LOG_TAIL = 2048
_MESSAGE_PATH = "/dev/termination-log"


class Container:
    """One container of a pod. `changed` is called after every change of `state`."""

    def __init__(
        self,
        context: NodeContext,
        sandbox: Sandbox,
        spec: Object,
        state: ContainerState,
        changed: Callable[[], None],
        *,
        init: bool = False,
    ) -> None:
        self.context = context
        self.sandbox = sandbox
        self.spec = spec
        self.state = state
        self.run: Run | None = None
        self._changed = changed
        self._init = init
        self._program = programs.find(context.programs, spec["image"])
        self._back_off = context.config.first_back_off
        self._watches: list[asyncio.Task[None]] = []
        self._stopping = False
        self._resumed = False
        self.rewritten = ""
        """What of its arguments is not as the container says."""
        self._renewed = False
        self.began = asyncio.Event()
        """Set once the container has started up."""

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def runtime(self) -> str:
        """process, embedded or simulated."""
        return programs.runtime_of(self._program)

    @property
    def keeps_log(self) -> bool:
        """Whether anything writes a log: a process, or a coroutine."""
        program = self._program
        return isinstance(program, ProcessProgram) or (isinstance(program, EmbeddedProgram) and program.run is not None)

    def log_path(self, restarts: int) -> Path:
        """The log of the run after so many restarts."""
        return self.sandbox.folder / self.name / f"{restarts}.log"

    async def live(self, policy: str) -> int:
        """Run, and run again as the restart policy says. Returns the last exit code."""
        while True:
            begun = self.context.clock.now()
            code = await self._run_once()
            if self._stopping or policy == "Never" or (policy == "OnFailure" and code == 0):
                return code
            if (self.context.clock.now() - begun).total_seconds() > _STABLE:
                self._back_off = self.context.config.first_back_off
            await self._wait_back_off()

    async def _wait_back_off(self) -> None:
        if self._renewed:
            self._renewed = False
        elif self.state.kind != TERMINATED:  # it could not even be created
            await self.context.sleep(_CONFIG_RETRY)
        elif self.state.restarts:  # the first restart comes at once, as the kubelet's does
            delay = self._back_off
            self._back_off = min(2 * delay, self.context.config.last_back_off)
            pod = self.sandbox.pod
            place = f"{self.name} in pod {pod['metadata']['name']}_{pod['metadata']['namespace']}"
            message = f"back-off {delay:.0f}s restarting failed container={place}({pod['metadata']['uid']})"
            ended = self.state
            self._set(replace(ended.waiting("CrashLoopBackOff", message), last={TERMINATED: ended.detail}))
            self._event("Warning", "BackOff", f"Back-off restarting failed container {place}")
            await self.context.sleep(delay)
            self._set(ended, tell=False)

    async def _run_once(self) -> int:
        self._set(self.state.again(), tell=False)
        try:
            run = await self._start()
        except (ConfigError, VolumeError) as error:
            self._event("Warning", "Failed", f"Error: {error}")
            self._set(self.state.waiting("CreateContainerConfigError", str(error)))
            return -1
        except StartError as error:
            self._event("Warning", "Failed", f"Error: {error}")
            now = self.context.timestamp()
            self._set(self.state.terminated(error.code, "StartError", now, str(error)))
            return error.code
        self.run = run
        try:
            await self._begin(run)
            code = await run.wait()
        finally:
            await self._end_watches()
        self.run = None
        reason = "Completed" if code == 0 else "Error"
        message = self._termination_message(code)
        self._set(self.state.terminated(code, reason, self.context.timestamp(), message))
        return code

    async def _begin(self, run: Run) -> None:
        """Running: the hook, the probes, readiness."""
        if isinstance(run, InstantRun):
            self._set(self.state.running(self.context.timestamp(), self._new_id()), tell=False)
            return
        if self._resumed:
            self._resumed = False
            self._watch(self._follow())
            return
        self._set(self.state.running(self.context.timestamp(), self._new_id()), tell=False)
        if not self._init or self.runtime != programs.SIMULATED:
            self._event("Normal", "Started", self._started_text())
        self._watch(self._follow())
        if isinstance(run, ProcessRun):
            hook = (self.spec.get("lifecycle") or {}).get("postStart")
            if hook and (problem := await probes.perform(hook, self._target(), 30.0)):
                self._event("Warning", "FailedPostStartHook", f"PostStartHook failed: {problem}")
                self._watch(run.stop(0))

    def _started_text(self) -> str:
        match self.runtime:
            case programs.PROCESS:
                return f"Started container {self.name}"
            case programs.EMBEDDED:
                return f"Started container {self.name} (embedded: NERV itself does its work)"
        return f"Started container {self.name} (simulated: no program runs)"

    async def _follow(self) -> None:
        """Startup probe first, then liveness and readiness together."""
        real = isinstance(self.run, ProcessRun)
        if isinstance(self._program, EmbeddedProgram) and self._program.ready:
            await self._program.ready(self._pod_context({}, _discard))
        startup = self.spec.get("startupProbe") if real else None
        if startup:
            await self._started_up(startup)
        self._set(replace(self.state, started=True), tell=False)
        self.began.set()
        if real and "livenessProbe" in self.spec:
            self._watch(self._probe("livenessProbe", "Liveness", self._on_liveness, eager=False))
        if real and "readinessProbe" in self.spec:
            # While others do the same work a rollout waits for this one: then it has all the time it asks for.
            served = peers.is_served(self.sandbox.pod, self.context.informers.of(PODS).list())
            self._watch(self._probe("readinessProbe", "Readiness", self._on_readiness, eager=not served))
            self._set(self.state)
        else:
            self._set(replace(self.state, ready=True))

    async def _started_up(self, probe: Object) -> None:
        done = asyncio.Event()

        def verdict(found: probes.Verdict) -> None:
            if found.healthy:
                done.set()
            else:
                self._kill("startup", probe)

        self._set(self.state)
        task = self._watch(self._probe("startupProbe", "Startup", verdict, eager=True))
        await done.wait()
        task.cancel()

    async def _probe(self, field: str, title: str, verdict: Callable[[probes.Verdict], None], *, eager: bool) -> None:
        await probes.watch(
            self.spec[field],
            self._target(),
            self.context.sleep,
            verdict,
            lambda problem: self._event("Warning", "Unhealthy", f"{title} probe failed: {problem}"),
            eager=eager,
            fatal=field != "readinessProbe",
        )

    def _on_readiness(self, verdict: probes.Verdict) -> None:
        self._set(replace(self.state, ready=verdict.healthy))

    def _on_liveness(self, verdict: probes.Verdict) -> None:
        if not verdict.healthy:
            self._kill("liveness", self.spec["livenessProbe"])

    def _kill(self, failed: str, probe: Object) -> None:
        if self.run is not None:
            self._event("Normal", "Killing", f"Container {self.name} failed {failed} probe, will be restarted")
            of_pod = self.sandbox.pod["spec"].get("terminationGracePeriodSeconds", 30)
            self._watch(self.run.stop(float(probe.get("terminationGracePeriodSeconds", of_pod))))

    def resume(self) -> None:
        """Go on as the state says: what does the container's work did not end with NERV."""
        self._resumed = True

    async def renew(self) -> None:
        """End a program whose network is gone; it starts again at once, in a new one, as its restart policy says."""
        if isinstance(self.run, ProcessRun) and not self._stopping:
            self._renewed = True
            await self.run.stop(0)

    async def stop(self, grace: float, *, quietly: bool = False) -> None:
        """End it for good: the hook, SIGTERM, and SIGKILL when `grace` seconds are over. `quietly` without an event."""
        self._stopping = True
        run = self.run
        if run is None:
            return
        if not quietly:
            self._event("Normal", "Killing", f"Stopping container {self.name}")
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and isinstance(run, ProcessRun) and grace > 0:
            begun = asyncio.get_running_loop().time()
            if problem := await probes.perform(hook, self._target(), grace):
                self._event("Warning", "FailedPreStopHook", f"PreStopHook failed: {problem}")
            grace = max(grace - (asyncio.get_running_loop().time() - begun), 2.0)
        await run.stop(grace)

    def _watch(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(_report)
        self._watches.append(task)
        return task

    async def _end_watches(self) -> None:
        tasks, self._watches = self._watches, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _set(self, state: ContainerState, *, tell: bool = True) -> None:
        self.state = state
        if tell:
            self._changed()

    def _event(self, type: str, reason: str, message: str) -> None:
        self.context.events.event(self.sandbox.pod, type, reason, message)

    def _new_id(self) -> str:
        return f"nerv://{os.urandom(32).hex()}"

    def _target(self) -> probes.Target:
        return probes.Target(self.context.network, self.sandbox.address, self.spec, self.execute)

    async def execute(self, command: tuple[str, ...]) -> tuple[int, str]:
        """Run a command in the container: (exit code, output)."""
        if not isinstance(self.run, ProcessRun):
            return 1, "nothing runs here"
        try:
            entered = await processes.enter(self.run.process, command)
        except StartError as error:
            return error.code, str(error)
        assert entered.stdout is not None
        assert entered.stderr is not None
        try:
            output, problems = await asyncio.gather(entered.stdout.read(), entered.stderr.read())
            return await entered.wait(), (output + problems).decode(errors="replace")
        finally:
            entered.signal(9)

    async def _start(self) -> Run:
        match self._program:
            case ProcessProgram():
                return await self._start_process(self._program)
            case EmbeddedProgram(run=work) if work is not None:
                log = LogFile(self.log_path(self.state.restarts))
                variables = environment.of_container(self.sandbox.pod_with_address(), self.spec, self.sandbox.sources)
                return CoroutineRun(work, self._pod_context(variables, functools.partial(log.write)), log)
        if self._init:
            return InstantRun(0)
        owners = self.sandbox.pod["metadata"].get("ownerReferences") or []
        if self._program is None and any(owner["kind"] == "Job" for owner in owners):
            self._event(
                "Warning", "Failed", f"NERV has no program for image {self.spec['image']}: its work is not done"
            )
            return InstantRun(1)
        return IdleRun()

    def _pod_context(self, variables: dict[str, str], log: Callable[[str], None]) -> PodContext:
        return PodContext(
            self.sandbox.pod,
            self.name,
            self.sandbox.address,
            self._arguments(variables),
            variables,
            log,
        )

    def _arguments(self, variables: dict[str, str]) -> tuple[str, ...]:
        words = [*self.spec.get("command", [])[1:], *self.spec.get("args", [])]
        return tuple(environment.expand(word, variables) for word in words)

    async def _start_process(self, program: ProcessProgram) -> ProcessRun:
        sandbox = self.sandbox
        variables = environment.of_container(sandbox.pod_with_address(), self.spec, sandbox.sources)
        variables = {**program.environment, **variables}
        prepared = await sandbox.volumes.prepare(sandbox.pod_with_address())
        user, group = self._user()
        command = (*program.command, *program.arguments(self._arguments(variables)))
        spec = ContainerSpec(
            network=await sandbox.network(),
            hostname=variables["HOSTNAME"],
            command=command,
            environment=variables,
            root=sandbox.root,
            mounts=(
                *sandbox.files(),
                *(Mount(str(source), target, read_only=True) for target, source in program.files.items()),
                self._message_mount(),
                *volumes.mounts(self.spec, prepared, variables),
            ),
            hidden=sandbox.hidden(),
            visible=(*processes.python_folders(), *self.context.config.visible, *_executable(command[0])),
            working_folder=self.spec.get("workingDir") or "/",
            user=user,
            group=group,
            stdin=bool(self.spec.get("stdin")),
        )
        text = f'Program {Path(program.command[0]).name} of this machine stands for image "{self.spec["image"]}"'
        self._event("Normal", "Pulled", text)
        self._event("Normal", "Created", f"Created container: {self.name}")
        self._forget_old_logs()
        namespace = sandbox.pod["metadata"]["namespace"]
        fitted, self.rewritten = local.fit(spec, program, namespace, sandbox.folder / self.name)
        return await ProcessRun.start(fitted, self.log_path(self.state.restarts))

    def _user(self) -> tuple[int, int]:
        whole = self.sandbox.pod["spec"].get("securityContext") or {}
        own = {**whole, **(self.spec.get("securityContext") or {})}
        user = own.get("runAsUser")
        if user is None:
            user = _NO_ONE if own.get("runAsNonRoot") else 0
        elif user == 0 and own.get("runAsNonRoot"):
            raise ConfigError("container has runAsNonRoot and image will run as root")
        return user, own.get("runAsGroup", user if user == _NO_ONE else 0)

    def _message_mount(self) -> Mount:
        path = self.sandbox.folder / self.name / "termination-log"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(b"")
        return Mount(str(path), self.spec.get("terminationMessagePath") or _MESSAGE_PATH)

    def _termination_message(self, code: int) -> str:
        path = self.sandbox.folder / self.name / "termination-log"
        with contextlib.suppress(FileNotFoundError):
            if message := path.read_bytes()[:_LONGEST_MESSAGE].decode(errors="replace"):
                return message
        if code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            with contextlib.suppress(FileNotFoundError):
                lines = self.log_path(self.state.restarts).read_bytes().splitlines()[-80:]
                text = b"\n".join(line.split(b" ", 3)[3] for line in lines)
                return text[-_LOG_TAIL:].decode(errors="replace")
        return ""

    def _forget_old_logs(self) -> None:
        """The kubelet keeps the present run's log and that of the one before."""
        self.log_path(self.state.restarts - 2).unlink(missing_ok=True)


def _executable(program: str) -> tuple[Path, ...]:
    found = shutil.which(program)
    return (Path(found),) if found else ()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        _log.error("a container's watch failed", exc_info=error)


def _discard(line: str) -> None:
    """For a program that has no log."""


@dataclass(frozen=True)
class Restored:
    """What a container was before NERV was started anew, and whether it must be started again."""

    state: ContainerState
    lost: bool


def restore(spec: Object, entry: Object | None, image_id: str, runtime: str, works: bool, now: str) -> Restored:
    """Take up a container from the pod's status. One that really ran has ended with NERV: exit code 255, "Unknown"."""
    state = from_status(spec, entry, image_id)
    lost = state.kind == RUNNING and (runtime == programs.PROCESS or works)
    return Restored(state.terminated(255, "Unknown", now) if lost else state, lost)
