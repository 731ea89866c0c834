"""Priority and DefaultTolerationSeconds: what every pod gets before anybody schedules it."""

from __future__ import annotations

from nerv.apiserver.context import Attributes, Context
from nerv.kube.objects import Object

_CLASSES = "priorityclasses.scheduling.k8s.io"
_UNREACHABLE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_SECONDS = 300


def prioritise(context: Context, attributes: Attributes) -> None:
    """The number behind priorityClassName. Raises errors.Forbidden for an unknown class."""
    obj = attributes.obj
    if attributes.key != "pods" or attributes.operation != "CREATE" or attributes.subresource or obj is None:
        return
    spec = obj["spec"]
    chosen = _class(context, attributes, spec)
    if chosen:
        spec["priorityClassName"] = chosen["metadata"]["name"]
    value = chosen["value"] if chosen else 0
    policy = (chosen or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    if spec.get("priority") not in (None, value):
        raise attributes.served.forbidden(
            attributes.name,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name",
        )
    spec["priority"] = value
    spec.setdefault("preemptionPolicy", policy)


def _class(context: Context, attributes: Attributes, spec: Object) -> Object | None:
    name = spec.get("priorityClassName")
    if name:
        entry = context.store.head(_CLASSES, "", name)
        if entry is None:
            raise attributes.served.forbidden(attributes.name, f"no PriorityClass with name {name} was found")
        return entry.load()
    general = [entry.load() for entry in context.store.iterate(_CLASSES) if b'"globalDefault":true' in entry.raw]
    return min(general, key=lambda item: int(item["value"])) if general else None


def tolerate(context: Context, attributes: Attributes) -> None:
    """A pod stays five minutes on a node that is lost, unless it says otherwise."""
    obj = attributes.obj
    if attributes.key != "pods" or attributes.operation != "CREATE" or attributes.subresource or obj is None:
        return
    tolerations = obj["spec"].get("tolerations") or []
    for key in _UNREACHABLE:
        present = any(
            item.get("key") in (key, None, "") and item.get("effect") in ("NoExecute", None, "") for item in tolerations
        )
        if not present:
            tolerations = [
                *tolerations,
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATED_SECONDS},
            ]
    obj["spec"]["tolerations"] = tolerations
