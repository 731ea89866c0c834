"""Pure rules about pods that the workload controllers share.

Rules of k8s.io/kubernetes/pkg/controller (controller_utils) and pkg/api/v1/pod, version 1.31.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import orjson
from typing_extensions import override

from nerv.kube import objects
from nerv.kube.objects import Object

TEMPLATE_HASH = "pod-template-hash"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

# no vowels and no digits that look like them: a hash never spells a word (apimachinery's rand.SafeEncodeString)
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def phase(pod: Object) -> str:
    """`status.phase`; a pod without one is Pending."""
    return str(pod.get("status", {}).get("phase") or "Pending")


def is_finished(pod: Object) -> bool:
    """Whether it succeeded or failed for good."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Whether it counts for its owner: not finished and not going away."""
    return not is_finished(pod) and not objects.deleting(pod)


def is_ready(pod: Object) -> bool:
    """Whether its Ready condition is True."""
    return objects.is_true(pod, "Ready")


def available_in(pod: Object, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until it counts as available: 0 if it does, None if it is not even ready."""
    ready = objects.condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if not min_ready_seconds or not ready.get("lastTransitionTime"):
        return 0.0
    since = objects.parse_time(ready["lastTransitionTime"]) + timedelta(seconds=min_ready_seconds)
    return max((since - now).total_seconds(), 0.0)


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Whether it was ready for `min_ready_seconds` without a break."""
    return available_in(pod, min_ready_seconds, now) == 0.0


def next_available(pods: Iterable[Object], min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the next pod that is ready becomes available, None if there is none to wait for."""
    waits = [wait for pod in pods if (wait := available_in(pod, min_ready_seconds, now))]
    return min(waits) if waits else None


def normalized(template: Object) -> Object:
    """A pod template without what says nothing: nulls, and the label that a Deployment adds."""
    result: Object = _without_nulls(template)
    metadata = dict(result.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != TEMPLATE_HASH}
    metadata.pop("creationTimestamp", None)
    metadata.pop("labels", None)
    result["metadata"] = {**metadata, **({"labels": labels} if labels else {})}
    return result


def _without_nulls(value: Object) -> Object:
    return {
        name: _without_nulls(item) if isinstance(item, dict) else item
        for name, item in value.items()
        if item is not None
    }


def template_hash(template: Object, collision_count: int = 0) -> str:
    """A short name for a pod template: equal templates have equal hashes on every run."""
    text = orjson.dumps(normalized(template), option=orjson.OPT_SORT_KEYS)
    if collision_count:
        text += str(collision_count).encode()
    value = 2166136261
    for byte in text:
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return safe_encode(str(value))


def safe_encode(text: str) -> str:
    """The characters of `text` mapped into an alphabet fit for names."""
    return "".join(_ALPHABET[ord(character) % len(_ALPHABET)] for character in text)


def from_template(
    template: Object,
    owner: Object,
    *,
    name: str = "",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    finalizers: Sequence[str] = (),
) -> Object:
    """A new pod of `owner`; without a name the server makes one from the owner's."""
    source = template.get("metadata") or {}
    metadata: Object = {
        "namespace": objects.namespace(owner),
        "labels": {**(source.get("labels") or {}), **(labels or {})},
        "annotations": {**(source.get("annotations") or {}), **(annotations or {})},
        "ownerReferences": [objects.owner_reference(owner)],
    }
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{objects.name(owner)}-"
    if finalizers:
        metadata["finalizers"] = [*finalizers]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": objects.clone(template.get("spec") or {})}


def deletion_order(pods: Iterable[Object], siblings: Mapping[str, int] | None = None) -> list[Object]:
    """The pods, those to delete first at the front (ActivePodsWithRanks).

    Unassigned before assigned, Pending before Running, unready before ready, cheaper deletion cost, more related pods
    on the node (`siblings` by node name), ready for a shorter time, more restarts, younger.
    """
    ranks = siblings or {}

    def rank(pod: Object) -> tuple[object, ...]:
        node = pod["spec"].get("nodeName", "")
        ready = objects.condition(pod, "Ready") or {}
        is_up = ready.get("status") == "True"
        restarts = [status.get("restartCount", 0) for status in pod.get("status", {}).get("containerStatuses", [])]
        return (
            bool(node),
            {"Pending": 0, "Unknown": 1}.get(phase(pod), 2),
            is_up,
            _deletion_cost(pod),
            -ranks.get(node, 0),
            _Reversed(ready.get("lastTransitionTime", "") if is_up else ""),
            -max(restarts, default=0),
            _Reversed(pod["metadata"].get("creationTimestamp", "")),
        )

    return sorted(pods, key=rank)


class _Reversed:
    """Text that sorts the other way round."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: _Reversed) -> bool:
        return self.text > other.text

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and self.text == other.text

    __hash__ = None  # type: ignore[assignment]  # only compared


def _deletion_cost(pod: Object) -> int:
    text = objects.annotations(pod).get(DELETION_COST, "0")
    return int(text) if text.lstrip("-").isdigit() else 0
