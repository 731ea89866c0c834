"""The status of a pod, computed from what its containers do. Pure.

Rules of the kubelet 1.31: kubelet_pods.go (phase), status/generate.go (conditions), and the API conventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object

RUNNING, WAITING, TERMINATED = "running", "waiting", "terminated"
_RESTARTABLE = "Always"


@dataclass(frozen=True)
class ContainerState:
    """One container as it is now. `detail` is the state's own content as the API has it."""

    name: str
    image: str
    image_id: str
    kind: str = WAITING
    detail: Object = field(default_factory=lambda: {"reason": "ContainerCreating"})
    last: Object = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    container_id: str = ""

    def waiting(self, reason: str, message: str = "") -> ContainerState:
        """The same container, waiting."""
        detail = {"reason": reason} | ({"message": message} if message else {})
        return replace(self, kind=WAITING, detail=detail, ready=False, started=False)

    def running(self, now: str, container_id: str) -> ContainerState:
        """The same container, running since `now`."""
        return replace(self, kind=RUNNING, detail={"startedAt": now}, container_id=container_id, ready=False)

    def terminated(self, code: int, reason: str, now: str, message: str = "") -> ContainerState:
        """The same container, ended."""
        detail = {
            "exitCode": code,
            "reason": reason,
            "startedAt": self.detail.get("startedAt", now),
            "finishedAt": now,
        }
        if self.container_id:
            detail["containerID"] = self.container_id
        if message:
            detail["message"] = message
        return replace(self, kind=TERMINATED, detail=detail, ready=False, started=False)

    def again(self) -> ContainerState:
        """An ended container that is about to run once more: what it was becomes its last state."""
        if self.kind == TERMINATED:
            return replace(self, last={TERMINATED: self.detail}, restarts=self.restarts + 1)
        backing_off = self.detail.get("reason") == "CrashLoopBackOff"
        return replace(self, restarts=self.restarts + 1) if backing_off else self


@dataclass(frozen=True)
class PodState:
    """All that the status is made from."""

    init: Sequence[ContainerState]
    containers: Sequence[ContainerState]
    addresses: tuple[str, str] = ("", "")
    """Of the pod and of its host; the pod's is empty until it has one."""
    started_at: str = ""
    sandboxed: bool = False
    stopping: bool = False


def from_status(container: Object, entry: Object | None, image_id: str) -> ContainerState:
    """A container as a former status has it, or as one not yet begun."""
    fresh = ContainerState(container["name"], container["image"], image_id)
    state = (entry or {}).get("state") or {}
    kind = next((kind for kind in (RUNNING, TERMINATED, WAITING) if kind in state), WAITING)
    if entry is None or not state:
        return fresh
    return replace(
        fresh,
        kind=kind,
        detail=state[kind] or {},
        last=entry.get("lastState") or {},
        restarts=entry.get("restartCount", 0),
        ready=bool(entry.get("ready")),
        started=bool(entry.get("started")),
        container_id=entry.get("containerID", ""),
    )


def is_sidecar(container: Object) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == _RESTARTABLE


def phase(pod: Object, state: PodState) -> str:
    """Pending, Running, Succeeded or Failed."""
    spec = pod["spec"]
    sidecars = {each["name"] for each in spec.get("initContainers", []) if is_sidecar(each)}
    policy = spec.get("restartPolicy", "Always")
    for each in state.init:
        if each.name in sidecars:
            if not each.started and not (each.kind == TERMINATED and _all_ended(state)):
                return "Pending"
        elif each.kind == TERMINATED and each.detail["exitCode"]:
            return "Failed" if policy == "Never" else "Pending"
        elif each.kind != TERMINATED:
            return "Pending"
    if any(each.kind == RUNNING for each in state.containers):
        return "Running"
    if _all_ended(state):
        if policy == "Always" and not state.stopping:
            return "Running"
        failed = any(each.detail["exitCode"] for each in state.containers)
        if failed and policy == "OnFailure" and not state.stopping:
            return "Running"
        return "Failed" if failed else "Succeeded"
    never_ran = all(each.kind == WAITING and not each.last for each in state.containers)
    return "Pending" if never_ran else "Running"


def _all_ended(state: PodState) -> bool:
    return all(each.kind == TERMINATED for each in state.containers)


def render(pod: Object, state: PodState, now: str) -> Object:
    """The whole status. Conditions that are not the kubelet's stay; times move only where a status changes."""
    found = phase(pod, state)
    own_address, host_address = state.addresses
    status: Object = {
        "phase": found,
        "hostIP": host_address,
        "hostIPs": [{"ip": host_address}],
        "startTime": state.started_at,
        "qosClass": pod.get("status", {}).get("qosClass") or quality_of_service(pod),
        "conditions": conditions(pod, state, found, now),
        "containerStatuses": [_entry(each) for each in state.containers],
    }
    if own_address:
        status |= {"podIP": own_address, "podIPs": [{"ip": own_address}]}
    if state.init:
        status["initContainerStatuses"] = [_entry(each) for each in state.init]
    return status


def _entry(state: ContainerState) -> Object:
    entry: Object = {
        "name": state.name,
        "image": state.image,
        "imageID": state.image_id if state.kind != WAITING or state.container_id else "",
        "ready": state.ready,
        "restartCount": state.restarts,
        "started": state.started,
        "state": {state.kind: state.detail},
        "lastState": state.last,
    }
    if state.container_id:
        entry["containerID"] = state.container_id
    return entry


def conditions(pod: Object, state: PodState, found: str, now: str) -> list[Object]:
    """PodReadyToStartContainers, Initialized, Ready, ContainersReady and PodScheduled, beside those of others."""
    spec = pod["spec"]
    existing: list[Object] = pod.get("status", {}).get("conditions", [])
    sidecars = {each["name"] for each in spec.get("initContainers", []) if is_sidecar(each)}
    over = found in ("Succeeded", "Failed")
    unready = [each.name for each in state.containers if not each.ready]
    unready += [each.name for each in state.init if each.name in sidecars and not each.ready]
    uninitialized = [each.name for each in state.init if not _is_initialized(each, each.name in sidecars)]
    gates = [gate["conditionType"] for gate in spec.get("readinessGates", [])]
    closed = [gate for gate in gates if not objects.is_true(pod, gate)]
    completed = ("False", "PodCompleted" if found == "Succeeded" else "PodFailed", "")
    initialized = ("True", "PodCompleted" if found == "Succeeded" else "", "")
    if uninitialized and not over:
        initialized = (
            "False",
            "ContainersNotInitialized",
            f"containers with incomplete status: {_names(uninitialized)}",
        )
    containers_ready = ("True", "", "")
    if over:
        containers_ready = completed
    elif unready:
        containers_ready = ("False", "ContainersNotReady", f"containers with unready status: {_names(unready)}")
    ready = containers_ready
    if not over and not unready and closed:
        ready = ("False", "ReadinessGatesNotReady", f"the status of pod readiness gates {_names(closed)} is not True")
    wanted = {
        "PodReadyToStartContainers": ("True" if state.sandboxed and not over else "False", "", ""),
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    result = [entry for entry in existing if entry["type"] not in wanted]
    for type, (value, reason, message) in wanted.items():
        former = next((entry for entry in existing if entry["type"] == type), {})
        since = former.get("lastTransitionTime") if former.get("status") == value else None
        entry: dict[str, Any] = {
            "type": type,
            "status": value,
            "lastProbeTime": None,
            "lastTransitionTime": since or now,
        }
        if reason:
            entry["reason"] = reason
        if message:
            entry["message"] = message
        result.append(entry)
    return result


def _is_initialized(state: ContainerState, sidecar: bool) -> bool:
    if sidecar:
        return state.started
    return state.kind == TERMINATED and state.detail["exitCode"] == 0


def _names(names: Sequence[str]) -> str:
    return f"[{' '.join(names)}]"


def quality_of_service(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by requests and limits of CPU and memory."""
    spec = pod["spec"]
    each = [container.get("resources") or {} for container in [*spec.get("initContainers", []), *spec["containers"]]]
    named = ("cpu", "memory")
    if not any((part.get(kind) or {}).get(name) for part in each for kind in ("requests", "limits") for name in named):
        return "BestEffort"
    for part in each:
        limits, requests = part.get("limits") or {}, part.get("requests") or {}
        for name in named:
            if not limits.get(name) or requests.get(name, limits[name]) != limits[name]:
                return "Burstable"
    return "Guaranteed"


def differs(pod: Object, wanted: Object) -> bool:
    """Whether the pod's status is not the wanted one. Somebody else's fields do not count."""
    status = pod.get("status", {})
    if any(status.get(key) != value for key, value in wanted.items() if key != "conditions"):
        return True
    present = {entry["type"]: _essence(entry) for entry in status.get("conditions", [])}
    return any(present.get(entry["type"]) != _essence(entry) for entry in wanted["conditions"])


def _essence(condition: Object) -> tuple[str, str, str]:
    return condition["status"], condition.get("reason", ""), condition.get("message", "")
