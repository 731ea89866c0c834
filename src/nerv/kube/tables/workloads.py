"""Rows of what makes pods: Deployments, ReplicaSets, Jobs and the like."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nerv.kube import objects, selectors
from nerv.kube.objects import Object, parse_time
from nerv.kube.tables.ages import age, human, since
from nerv.kube.tables.printer import Printer, columns

_WIDE = ("Containers+", "Images+", "Selector+")


def containers(spec: Mapping[str, Any]) -> list[str]:
    """Names and images of a template's containers."""
    found = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return [",".join(item.get("name", "") for item in found), ",".join(item.get("image", "") for item in found)]


def selector(found: Mapping[str, Any] | None) -> str:
    """A label selector as text."""
    return selectors.from_object(found).text or "<none>" if found is not None else "<none>"


def _parts(obj: Object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return obj.get("spec") or {}, obj.get("status") or {}


def _deployment(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    return [
        objects.name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(obj, now),
        *containers(spec),
        selector(spec.get("selector")),
    ]


def _replicas(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    found = spec.get("selector")
    if objects.kind(obj) == "ReplicationController":
        found = {"matchLabels": found or {}}
    return [
        objects.name(obj),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(obj, now),
        *containers(spec),
        selector(found),
    ]


def _stateful_set(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [objects.name(obj), ready, age(obj, now), *containers(spec)]


def _daemon_set(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    nodes = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector") or {}
    return [
        objects.name(obj),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        ",".join(f"{name}={value}" for name, value in sorted(nodes.items())) or "<none>",
        age(obj, now),
        *containers(spec),
        selector(spec.get("selector")),
    ]


def _job(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    done, wanted, parallel = status.get("succeeded", 0), spec.get("completions"), spec.get("parallelism") or 0
    if wanted is not None:
        completions = f"{done}/{wanted}"
    else:
        completions = f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"
    return [
        objects.name(obj),
        _job_status(obj, status),
        completions,
        _job_duration(status, now),
        age(obj, now),
        *containers(spec),
        selector(spec.get("selector")),
    ]


def _job_status(obj: Object, status: Mapping[str, Any]) -> str:
    for condition in ("Complete", "Failed"):
        if objects.is_true(obj, condition):
            return condition
    if objects.deleting(obj):
        return "Terminating"
    for condition in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if objects.is_true(obj, condition):
            return condition
    return "Running"


def _job_duration(status: Mapping[str, Any], now: datetime) -> str:
    if not status.get("startTime"):
        return ""
    end = parse_time(status["completionTime"]) if status.get("completionTime") else now
    return human((end - parse_time(status["startTime"])).total_seconds())


def _cron_job(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    last = status.get("lastScheduleTime")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    return [
        objects.name(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or "<none>",
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        since(last, now) if last else "<none>",
        age(obj, now),
        *containers(job),
        selector(job.get("selector")),
    ]


def _autoscaler(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    target = spec.get("scaleTargetRef") or {}
    return [
        objects.name(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec.get("metrics") or [], status.get("currentMetrics") or []),
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(obj, now),
    ]


def _metrics(wanted: list[Object], current: list[Object]) -> str:
    shown = []
    for position, metric in enumerate(wanted[:2]):
        kind = str(metric.get("type", ""))
        source = metric.get(kind[:1].lower() + kind[1:]) or {}
        target = source.get("target") or {}
        found = current[position] if position < len(current) else {}
        now = (found.get(kind[:1].lower() + kind[1:]) or {}).get("current") or {}
        prefix = f"{source['name']}: " if source.get("name") else ""
        if "averageUtilization" in target:
            value = f"{now['averageUtilization']}%" if "averageUtilization" in now else "<unknown>"
            shown.append(f"{prefix}{value}/{target['averageUtilization']}%")
        else:
            goal = target.get("averageValue") or target.get("value", "")
            shown.append(f"{prefix}{now.get('averageValue') or now.get('value') or '<unknown>'}/{goal}")
    more = f" + {len(wanted) - 2} more..." if len(wanted) > 2 else ""
    return (", ".join(shown) + more) or "<none>"


def _budget(obj: Object, now: datetime) -> list[Any]:
    spec, status = _parts(obj)
    low, high = (str(spec.get(name, "N/A")) for name in ("minAvailable", "maxUnavailable"))
    return [objects.name(obj), low, high, status.get("disruptionsAllowed", 0), age(obj, now)]


def _template(obj: Object, now: datetime) -> list[Any]:
    labels = ((obj.get("template") or {}).get("metadata") or {}).get("labels") or {}
    shown = ",".join(f"{name}={value}" for name, value in sorted(labels.items())) or "<none>"
    return [objects.name(obj), *containers(obj), shown]


def _revision(obj: Object, now: datetime) -> list[Any]:
    owner = objects.controller_of(obj)
    shown = "<none>"
    if owner:
        group = objects.split_api_version(owner["apiVersion"])[0]
        shown = f"{owner['kind'].lower()}{'.' if group else ''}{group}/{owner['name']}"
    return [objects.name(obj), shown, obj.get("revision", 0), age(obj, now)]


DEPLOYMENT = Printer(columns("Name", "Ready", "Up-to-date", "Available", "Age", *_WIDE), _deployment)
REPLICAS = Printer(columns("Name", "Desired:integer", "Current:integer", "Ready:integer", "Age", *_WIDE), _replicas)
STATEFUL_SET = Printer(columns("Name", "Ready", "Age", "Containers+", "Images+"), _stateful_set)
DAEMON_SET = Printer(
    columns(
        *("Name", "Desired:integer", "Current:integer", "Ready:integer", "Up-to-date:integer", "Available:integer"),
        *("Node Selector", "Age", *_WIDE),
    ),
    _daemon_set,
)
JOB = Printer(columns("Name", "Status", "Completions", "Duration", "Age", *_WIDE), _job)
CRON_JOB = Printer(
    columns("Name", "Schedule", "Timezone", "Suspend:boolean", "Active:integer", "Last Schedule", "Age", *_WIDE),
    _cron_job,
)
AUTOSCALER = Printer(
    columns("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas:integer", "Age"), _autoscaler
)
BUDGET = Printer(columns("Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"), _budget)
POD_TEMPLATE = Printer(columns("Name", "Containers", "Images", "Pod Labels"), _template)
REVISION = Printer(columns("Name", "Controller", "Revision:integer", "Age"), _revision)
