"""Rules of what makes pods from a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from nerv.kube import fields, selectors
from nerv.kube.fields import FieldError
from nerv.kube.objects import Object
from nerv.kube.validation import pods

Spec = Mapping[str, Any]
Rule = Callable[[Object, Object | None], Iterator[FieldError]]

_STATEFUL_RULE: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_CHANGES: Final = (
    *("replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
    "revisionHistoryLimit",
)


def _count(spec: Spec, field: str, path: str = "spec") -> Iterator[FieldError]:
    value = spec.get(field)
    if isinstance(value, int) and value < 0:
        yield fields.invalid(f"{path}.{field}", value, "must be greater than or equal to 0")


def go_selector(selector: Spec) -> str:
    """A label selector as Go prints it, which is what messages about it show."""
    found = selector.get("matchLabels")
    labels = _go_map(found) if found else "map[string]string(nil)"
    expressions = selector.get("matchExpressions")
    shown = (
        "[]v1.LabelSelectorRequirement{"
        + ", ".join(
            f'v1.LabelSelectorRequirement{{Key:"{item.get("key", "")}", Operator:"{item.get("operator", "")}", '
            f"Values:{_go_list(item.get('values'))}}}"
            for item in expressions
        )
        + "}"
        if expressions
        else "[]v1.LabelSelectorRequirement(nil)"
    )
    return f"v1.LabelSelector{{MatchLabels:{labels}, MatchExpressions:{shown}}}"


def _go_map(found: Spec) -> str:
    return "map[string]string{" + ", ".join(f'"{name}":"{value}"' for name, value in sorted(found.items())) + "}"


def _go_list(found: list[str] | None) -> str:
    return "[]string{" + ", ".join(f'"{item}"' for item in found) + "}" if found else "[]string(nil)"


def _raw(field: str, shown: str, detail: str) -> FieldError:
    """An invalid value that is already in Go's form."""
    return FieldError(field, fields.INVALID, f"Invalid value: {shown}: {detail}")


def _selector(spec: Spec, kind: str) -> Iterator[FieldError]:
    found = spec.get("selector")
    if found is None:
        yield fields.required("spec.selector")
    try:
        parsed = selectors.from_object(found)
    except ValueError as error:
        yield fields.invalid("spec.selector", found, str(error))
        return
    if parsed.empty:
        yield _raw("spec.selector", go_selector(found or {}), f"empty selector is invalid for {kind}")
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not parsed.matches(labels or {}):
        detail = "`selector` does not match template `labels`"
        shown = _go_map(labels) if labels is not None else "map[string]string(nil)"
        yield _raw("spec.template.metadata.labels", shown, detail)


def _same_selector(spec: Spec, old: Spec) -> Iterator[FieldError]:
    if spec.get("selector") != old.get("selector"):
        yield _raw("spec.selector", go_selector(spec.get("selector") or {}), fields.IMMUTABLE)


def _scaled(kind: str, immutable: bool) -> Rule:
    def rule(obj: Object, old: Object | None) -> Iterator[FieldError]:
        spec = obj.get("spec") or {}
        yield from _selector(spec, kind)
        for field in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
            yield from _count(spec, field)
        yield from pods.template(spec, "spec")
        if old is not None and immutable:
            yield from _same_selector(spec, old.get("spec") or {})

    return rule


def _deployment(obj: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _scaled("deployment", True)(obj, old)
    strategy = (obj.get("spec") or {}).get("strategy") or {}
    kind = strategy.get("type")
    if kind not in ("Recreate", "RollingUpdate"):
        yield fields.not_supported("spec.strategy.type", kind, ("Recreate", "RollingUpdate"))
    elif kind == "Recreate" and strategy.get("rollingUpdate") is not None:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        yield fields.forbidden("spec.strategy.rollingUpdate", detail)
    rolling = strategy.get("rollingUpdate") or {}
    if kind == "RollingUpdate" and all(rolling.get(name) in (0, "0%") for name in ("maxSurge", "maxUnavailable")):
        detail = "may not be 0 when `maxSurge` is 0"
        yield fields.invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], detail)


def _stateful_set(obj: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _scaled("statefulset", False)(obj, old)
    if old is not None:
        now, before = obj.get("spec") or {}, old.get("spec") or {}
        if {name: value for name, value in now.items() if name not in _STATEFUL_CHANGES} != {
            name: value for name, value in before.items() if name not in _STATEFUL_CHANGES
        }:
            yield fields.forbidden("spec", _STATEFUL_RULE)


def _job(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"):
        yield from _count(spec, field)
    yield from pods.template(spec, "spec", ("OnFailure", "Never"))
    if old is None:
        return
    before = old.get("spec") or {}
    yield from _same_selector(spec, before)
    for field in ("template", "completionMode", *(("completions",) if not _elastic(spec) else ())):
        suspended = field == "template" and before.get("suspend") and not (old.get("status") or {}).get("startTime")
        if spec.get(field) != before.get(field) and not suspended:
            yield fields.invalid(f"spec.{field}", spec.get(field), fields.IMMUTABLE)


def _elastic(spec: Spec) -> bool:
    """An indexed Job may change its size when completions follow parallelism."""
    return spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")


def _cron_job(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    schedule = spec.get("schedule") or ""
    if not schedule:
        yield fields.required("spec.schedule")
    elif not schedule.startswith("@") and not _cron(schedule):
        detail = f"expected exactly 5 fields, found {len(schedule.split())}: [{' '.join(schedule.split())}]"
        yield fields.invalid("spec.schedule", schedule, detail)
    if spec.get("concurrencyPolicy") not in ("Allow", "Forbid", "Replace"):
        yield fields.not_supported(
            "spec.concurrencyPolicy", spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace")
        )
    job = (spec.get("jobTemplate") or {}).get("spec")
    if isinstance(job, Mapping):
        yield from pods.template(job, "spec.jobTemplate.spec", ("OnFailure", "Never"))


def _cron(schedule: str) -> bool:
    parts = schedule.split()
    return len(parts) == 5 and all(re.fullmatch(r"[-0-9A-Za-z*/,?]+", part) for part in parts)


def _autoscaler(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if low < 1:
        yield fields.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        yield fields.invalid("spec.maxReplicas", high, "must be greater than 0")
    elif high < low:
        yield fields.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")


def _budget(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        yield fields.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")


RULES: Final[dict[tuple[str, str], Rule]] = {
    ("v1", "Pod"): pods.pod,
    ("apps/v1", "Deployment"): _deployment,
    ("apps/v1", "ReplicaSet"): _scaled("replicaset", True),
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("apps/v1", "DaemonSet"): _scaled("daemonset", True),
    ("batch/v1", "Job"): _job,
    ("batch/v1", "CronJob"): _cron_job,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): _autoscaler,
    ("policy/v1", "PodDisruptionBudget"): _budget,
}
