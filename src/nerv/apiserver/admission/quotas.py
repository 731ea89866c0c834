"""ResourceQuota: nothing is created that would use more than a namespace may.

What is used stands in the quota's status; it is counted up here at once, and counted anew by the quota controller.
Facts: k8s.io/apiserver/pkg/admission/plugin/resourcequota (wording), pkg/quota/v1/evaluator/core (what counts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from nerv.apiserver import writes
from nerv.apiserver.context import Attributes, Context
from nerv.apiserver.identity import ADMIN
from nerv.apiserver.requests import Call, Target
from nerv.http.messages import Request
from nerv.kube import errors, quantity
from nerv.kube.defaults.creation import quality
from nerv.kube.objects import Object

_KEY = "resourcequotas"
_COUNTED = frozenset(
    {
        "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets",
        "services",
    }
)  # fmt: skip
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_ENDED = ("Succeeded", "Failed")

Usage = dict[str, Fraction]


async def check(context: Context, attributes: Attributes) -> None:
    """Raises errors.Forbidden when a quota would be exceeded, or demands what a pod does not say."""
    if not attributes.namespace or attributes.subresource or attributes.obj is None:
        return
    if attributes.operation not in ("CREATE", "UPDATE"):
        return
    quotas = [entry.load() for entry in context.store.entries(_KEY, attributes.namespace)]
    if not quotas:
        return
    for quota in quotas:
        grown = _growth(quota, attributes)
        if not grown:
            continue
        if attributes.dry_run:
            _demand_room(quota, grown, attributes)
        else:
            await _spend(context, attributes, quota["metadata"]["name"], grown)


def _growth(quota: Object, attributes: Attributes) -> Usage:
    """What the request adds to the quota. Raises errors.Forbidden for a pod without a demanded value."""
    obj = attributes.obj
    assert obj is not None
    if not _in_scope(quota, attributes.key, obj):
        return {}
    hard = (quota.get("spec") or {}).get("hard") or {}
    after = usage(attributes.key, obj)
    if attributes.key == "pods" and attributes.operation == "CREATE":
        missing = [name for name in hard if _is_compute(name) and name not in after]
        if missing:
            names = ",".join(sorted(missing))
            containers = ",".join(item["name"] for item in obj["spec"].get("containers") or ())
            why = f"failed quota: {quota['metadata']['name']}: must specify {names} for: {containers}"
            raise attributes.served.forbidden(attributes.name, why)
    before = usage(attributes.key, attributes.old) if attributes.old else {}
    grown = {name: after[name] - before.get(name, Fraction(0)) for name in hard if name in after}
    return {name: value for name, value in grown.items() if value > 0}


def _demand_room(quota: Object, grown: Usage, attributes: Attributes) -> None:
    hard = (quota.get("spec") or {}).get("hard") or {}
    used = (quota.get("status") or {}).get("used") or {}
    over = sorted(
        name
        for name, value in grown.items()
        if quantity.parse(used.get(name, "0")) + value > quantity.parse(hard[name])
    )
    if over:
        requested = ",".join(f"{name}={text(grown[name])}" for name in over)
        present = ",".join(f"{name}={used.get(name, '0')}" for name in over)
        limited = ",".join(f"{name}={hard[name]}" for name in over)
        raise attributes.served.forbidden(
            attributes.name,
            f"exceeded quota: {quota['metadata']['name']}, requested: {requested}, used: {present}, limited: {limited}",
        )


async def _spend(context: Context, attributes: Attributes, name: str, grown: Usage) -> None:
    """Count up what is used. Raises errors.Forbidden when there is no room: looked at again each time somebody was
    faster, so that requests side by side do not pass together."""

    def make(quota: Object) -> Object:
        _demand_room(quota, grown, attributes)
        status = quota.setdefault("status", {})
        status.setdefault("hard", dict((quota.get("spec") or {}).get("hard") or {}))
        used = status.setdefault("used", {})
        for item, value in grown.items():
            used[item] = text(quantity.parse(used.get(item, "0")) + value)
        return quota

    served = context.registry.require("", "v1", _KEY)
    target = Target("update", "", "", "v1", _KEY, attributes.namespace, name, "status")
    try:
        await writes.update(context, served, Call(Request("PUT", ""), ADMIN, target), make)
    except errors.NotFound:
        return


def usage(key: str, obj: Object) -> Usage:
    """What an object counts for, by the names that a quota may limit."""
    found: Usage = {}
    if key == "pods" and (obj.get("status") or {}).get("phase") in _ENDED:
        return found
    found[f"count/{key}"] = Fraction(1)
    if key in _COUNTED:
        found[key] = Fraction(1)
    if key == "pods":
        found |= _pod(obj)
    elif key == "services":
        found |= _service(obj)
    elif key == "persistentvolumeclaims":
        found |= dict(_claim(obj))
    return found


def _pod(obj: Object) -> Usage:
    """The sum over containers, or the largest init container where that is more."""
    found: Usage = {}
    spec = obj.get("spec") or {}
    for field in ("requests", "limits"):
        for name in _COMPUTE:
            regular = _values(spec.get("containers") or (), field, name)
            initial = _values(spec.get("initContainers") or (), field, name)
            if regular or initial:
                value = max([sum(regular, Fraction(0)), *initial])
                found[f"{field}.{name}"] = value
                if field == "requests":
                    found[name] = value
    return found


def _values(containers: Sequence[Object], field: str, name: str) -> list[Fraction]:
    values = [((item.get("resources") or {}).get(field) or {}).get(name) for item in containers]
    return [quantity.parse(value) for value in values if value is not None]


def _service(obj: Object) -> Usage:
    spec = obj["spec"]
    ports = Fraction(sum(1 for port in spec.get("ports") or () if port.get("nodePort")))
    balancer = Fraction(int(spec.get("type") == "LoadBalancer"))
    return {"services.loadbalancers": balancer, "services.nodeports": ports}


def _claim(obj: Object) -> Iterator[tuple[str, Fraction]]:
    spec = obj["spec"]
    requests = (spec.get("resources") or {}).get("requests") or {}
    size = quantity.parse(requests.get("storage", "0"))
    yield "requests.storage", size
    if spec.get("storageClassName"):
        prefix = f"{spec['storageClassName']}.storageclass.storage.k8s.io/"
        yield f"{prefix}requests.storage", size
        yield f"{prefix}persistentvolumeclaims", Fraction(1)


def _is_compute(name: str) -> bool:
    return name.removeprefix("requests.").removeprefix("limits.") in _COMPUTE


def _in_scope(quota: Object, key: str, obj: Object) -> bool:
    bounds = quota.get("spec") or {}
    scopes = list(bounds.get("scopes") or ())
    for item in (bounds.get("scopeSelector") or {}).get("matchExpressions") or ():
        if item["scopeName"] != "PriorityClass":
            scopes.append(item["scopeName"])
        elif not _priority_matches(item, obj):
            return False
    if not scopes:
        return True
    if key != "pods":
        return False
    spec: Mapping[str, object] = obj.get("spec") or {}
    facts = {
        "BestEffort": quality(spec) == "BestEffort",
        "NotBestEffort": quality(spec) != "BestEffort",
        "Terminating": spec.get("activeDeadlineSeconds") is not None,
        "NotTerminating": spec.get("activeDeadlineSeconds") is None,
    }
    return all(facts.get(scope, False) for scope in scopes)


def _priority_matches(item: Mapping[str, object], obj: Object) -> bool:
    name = (obj.get("spec") or {}).get("priorityClassName") or ""
    values = item.get("values") or ()
    assert isinstance(values, (list, tuple))
    return {
        "In": name in values,
        "NotIn": name not in values,
        "Exists": bool(name),
        "DoesNotExist": not name,
    }.get(str(item.get("operator")), False)


def text(value: Fraction) -> str:
    """A quantity in its shortest form."""
    return str(value.numerator) if value.denominator == 1 else quantity.canonical(f"{int(value * 10**9)}n")
