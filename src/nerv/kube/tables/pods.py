"""Rows of pods. The status column is not the phase: it says what the first container in trouble waits for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.tables.ages import age, since
from nerv.kube.tables.printer import Printer, columns


def _pod(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    main = status.get("containerStatuses") or []
    ready = sum(1 for item in main if item.get("ready") and "running" in (item.get("state") or {}))
    sidecars = [item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"]
    names = {item["name"] for item in sidecars}
    ready += sum(1 for item in status.get("initContainerStatuses") or () if item["name"] in names and item.get("ready"))
    addresses = status.get("podIPs") or []
    gates = spec.get("readinessGates") or []
    passed = sum(objects.is_true(obj, gate.get("conditionType", "")) for gate in gates)
    return [
        objects.name(obj),
        f"{ready}/{len(spec.get('containers') or ()) + len(sidecars)}",
        summary(obj),
        _restarts(status, names, now),
        age(obj, now),
        (addresses[0].get("ip") if addresses else status.get("podIP")) or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        f"{passed}/{len(gates)}" if gates else "<none>",
    ]


def _restarts(status: Mapping[str, Any], sidecars: set[str], now: datetime) -> str:
    """Of the main containers and sidecars; before those run, of the init containers."""
    first = status.get("initContainerStatuses") or []
    main = status.get("containerStatuses") or []
    counted = [*main, *(item for item in first if item["name"] in sidecars)] if _initialized(status) else first
    count = sum(item.get("restartCount", 0) for item in counted)
    ends = [
        ended
        for item in counted
        if (ended := ((item.get("lastState") or {}).get("terminated") or {}).get("finishedAt"))
    ]
    return f"{count} ({since(max(ends), now)} ago)" if count and ends else str(count)


def _initialized(status: Mapping[str, Any]) -> bool:
    return any(
        item.get("type") == "Initialized" and item.get("status") == "True" for item in status.get("conditions") or ()
    ) or (not status.get("initContainerStatuses"))


def summary(obj: Object) -> str:
    """The STATUS column of `kubectl get pods`."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    for item in status.get("conditions") or ():
        if item.get("type") == "PodScheduled" and item.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    initializing = _initializing(spec, status)
    if initializing and not (_initialized(status) and status.get("initContainerStatuses")):
        reason = initializing
    else:
        reason = _running(status, reason, obj)
    if objects.deleting(obj):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def _initializing(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    sidecars = {item["name"] for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"}
    total = len(spec.get("initContainers") or ())
    for position, item in enumerate(status.get("initContainerStatuses") or ()):
        state = item.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended is not None and not ended.get("exitCode"):
            continue
        if item["name"] in sidecars and item.get("started"):
            continue
        if ended is not None:
            return f"Init:{_ended(ended)}"
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{position}/{total}"
    return ""


def _ended(state: Mapping[str, Any]) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state.get('exitCode', 0)}"


def _running(status: Mapping[str, Any], reason: str, obj: Object) -> str:
    running = False
    for item in reversed(status.get("containerStatuses") or ()):
        state = item.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended is not None:
            reason = _ended(ended)
        elif item.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        return "Running" if objects.is_true(obj, "Ready") else "NotReady"
    return reason


POD = Printer(
    columns("Name", "Ready", "Status", "Restarts", "Age", "IP+", "Node+", "Nominated Node+", "Readiness Gates+"), _pod
)
