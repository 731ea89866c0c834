"""How many replicas each ReplicaSet of a Deployment gets. Pure; numbers are those of deployment/util in Kubernetes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from nerv.kube import objects
from nerv.kube.objects import Object

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


def replicas(obj: Object) -> int:
    """`spec.replicas`, 1 where it is not set."""
    count = obj["spec"].get("replicas")
    return 1 if count is None else int(count)


def total(sets: Iterable[Object]) -> int:
    """Replicas that the sets ask for together."""
    return sum(replicas(each) for each in sets)


def observed(sets: Iterable[Object], field: str) -> int:
    """The sum of one number of the sets' status."""
    return sum(each.get("status", {}).get(field, 0) for each in sets)


def active(sets: Iterable[Object]) -> list[Object]:
    """The sets that ask for pods."""
    return [each for each in sets if replicas(each) > 0]


def scaled_value(value: int | str | None, count: int, *, up: bool) -> int:
    """An absolute number, or a percentage of `count` rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * count / 100
        return math.ceil(share) if up else math.floor(share)
    return int(value or 0)


def is_rolling(deployment: Object) -> bool:
    """Whether its strategy is RollingUpdate (the default)."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def bounds(deployment: Object) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers. Both zero cannot progress, so one may then be unavailable."""
    if not is_rolling(deployment):
        return 0, 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    count = replicas(deployment)
    surge = scaled_value(rolling.get("maxSurge", "25%"), count, up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", "25%"), count, up=False)
    return (surge, 1) if surge == 0 and unavailable == 0 else (surge, min(unavailable, count))


def max_surge(deployment: Object) -> int:
    """Pods above the wanted number during an update."""
    return bounds(deployment)[0]


def max_unavailable(deployment: Object) -> int:
    """Pods below the wanted number during an update; 0 where nothing is wanted."""
    return bounds(deployment)[1] if replicas(deployment) else 0


def new_set_replicas(deployment: Object, sets: Sequence[Object], new: Object | None) -> int:
    """What the newest set should ask for now, without more pods in all than maxSurge allows."""
    wanted = replicas(deployment)
    current = replicas(new) if new is not None else 0
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - total(sets)
    if room <= 0:
        return current
    return current + min(room, wanted - current)


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """Whether the newest set alone has and asks for all that is wanted."""
    if new is None:
        return False
    wanted = replicas(deployment)
    return (
        replicas(new) == wanted
        and _annotated(new, DESIRED) == wanted
        and new.get("status", {}).get("availableReplicas", 0) == wanted
    )


def is_scaling(deployment: Object, sets: Iterable[Object]) -> bool:
    """Whether the wanted number changed since the sets were last scaled."""
    wanted = replicas(deployment)
    return any(desired != wanted for each in active(sets) if (desired := _annotated(each, DESIRED)) is not None)


def proportional(deployment: Object, sets: Sequence[Object]) -> dict[str, int]:
    """Replicas by name when a Deployment is scaled in the middle of an update: each set in proportion to its size,
    what rounding leaves goes to the largest."""
    wanted = replicas(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - total(sets)
    ordered = sorted(sets, key=lambda each: each["metadata"].get("creationTimestamp", ""), reverse=to_add > 0)
    ordered.sort(key=replicas, reverse=True)
    result: dict[str, int] = {}
    added = 0
    for each in ordered:
        share = _proportion(each, deployment, to_add, added) if to_add else 0
        result[objects.name(each)] = replicas(each) + share
        added += share
    if ordered and to_add:
        first = objects.name(ordered[0])
        result[first] = max(result[first] + to_add - added, 0)
    return result


def _proportion(replica_set: Object, deployment: Object, to_add: int, added: int) -> int:
    if replicas(replica_set) == 0 or to_add == added:
        return 0
    share = _fraction(replica_set, deployment)
    allowed = to_add - added
    return min(share, allowed) if to_add > 0 else max(share, allowed)


def _fraction(replica_set: Object, deployment: Object) -> int:
    own = replicas(replica_set)
    if replicas(deployment) == 0:
        return -own
    size = replicas(deployment) + max_surge(deployment)
    before = _annotated(replica_set, MAXIMUM) or deployment.get("status", {}).get("replicas", 0)
    if not before:
        return 0
    # half away from zero, as Go's math.Round
    return math.floor(own * size / before + 0.5) - own


def _annotated(replica_set: Object, name: str) -> int | None:
    text = objects.annotations(replica_set).get(name, "")
    return int(text) if text.isdigit() else None


def old_scale_down(deployment: Object, sets: Sequence[Object], new: Object | None) -> dict[str, int]:
    """The smaller numbers that old sets may get now, by name: first unhealthy pods, then as availability allows."""
    new_unavailable = 0
    if new is not None:
        new_unavailable = replicas(new) - new.get("status", {}).get("availableReplicas", 0)
    minimum = replicas(deployment) - max_unavailable(deployment)
    room = total(sets) - minimum - new_unavailable
    if room <= 0:
        return {}
    olds = [each for each in sets if new is None or objects.uid(each) != objects.uid(new)]
    olds.sort(key=lambda each: each["metadata"].get("creationTimestamp", ""))
    result = {objects.name(each): replicas(each) for each in olds if replicas(each)}
    _take_unhealthy(olds, result, room)
    taken = sum(replicas(each) for each in olds) - sum(result.values())
    available = observed(sets, "availableReplicas")
    spare = min(available - minimum, room - taken) if available > minimum else 0
    for name in result:
        part = min(result[name], max(spare, 0))
        result[name] -= part
        spare -= part
    return {objects.name(each): result[objects.name(each)] for each in olds
            if objects.name(each) in result and result[objects.name(each)] != replicas(each)}  # fmt: skip


def _take_unhealthy(olds: Sequence[Object], result: dict[str, int], room: int) -> None:
    for each in olds:
        if room <= 0:
            return
        unhealthy = replicas(each) - each.get("status", {}).get("availableReplicas", 0)
        part = min(unhealthy, room)
        if part > 0 and objects.name(each) in result:
            result[objects.name(each)] -= part
            room -= part
