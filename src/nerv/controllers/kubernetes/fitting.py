"""Room on a node: requests against what is allocatable, host ports, pod affinity. Pure.

Requests of a pod are those of kubectl's `describe node`: the larger of all containers together and the largest init
container (restartable init containers add up), plus the overhead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from nerv.kube import objects, quantity, selectors
from nerv.kube.objects import Object

_DEFAULTS = {"cpu": Fraction(1, 10), "memory": Fraction(200 * 1024**2)}


def request(pod: Object) -> dict[str, Fraction]:
    """What the pod asks for, by resource name."""
    spec = pod["spec"]
    result: dict[str, Fraction] = {}
    for container in spec.get("containers") or []:
        _add(result, _requests(container))
    sidecars: dict[str, Fraction] = {}
    starting: dict[str, Fraction] = {}
    for container in spec.get("initContainers") or []:
        own = _requests(container)
        if container.get("restartPolicy") == "Always":
            _add(result, own)
            _add(sidecars, own)
            continue
        for name, value in own.items():
            starting[name] = max(starting.get(name, Fraction(0)), value + sidecars.get(name, Fraction(0)))
    for name, value in starting.items():
        result[name] = max(result.get(name, Fraction(0)), value)
    _add(result, {name: quantity.parse(value) for name, value in (spec.get("overhead") or {}).items()})
    return result


def _requests(container: Object) -> dict[str, Fraction]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity.parse(value) for name, value in asked.items()}


def _add(target: dict[str, Fraction], more: Mapping[str, Fraction]) -> None:
    for name, value in more.items():
        target[name] = target.get(name, Fraction(0)) + value


def used(present: Iterable[Object]) -> dict[str, Fraction]:
    """What the pods of a node ask for together."""
    result: dict[str, Fraction] = {}
    for pod in present:
        _add(result, request(pod))
    return result


def allocatable(node: Object) -> dict[str, Fraction]:
    """What the node gives to pods."""
    status = node.get("status", {})
    return {name: quantity.parse(value) for name, value in (status.get("allocatable") or {}).items()}


def shortages(asked: Mapping[str, Fraction], pod: Object, node: Object, present: Sequence[Object]) -> list[str]:
    """Why there is no room: too many pods, taken host ports, insufficient resources."""
    room = allocatable(node)
    found = []
    if "pods" in room and len(present) + 1 > room["pods"]:
        found.append("Too many pods")
    if _ports(pod) & {port for each in present for port in _ports(each)}:
        found.append("node(s) didn't have free ports for the requested pod ports")
    taken = used(present)
    for name, value in asked.items():
        # a node that does not report a basic resource is not limited in it
        unlimited = name not in room and name in ("cpu", "memory", "ephemeral-storage")
        if value and not unlimited and value > room.get(name, Fraction(0)) - taken.get(name, Fraction(0)):
            found.append(f"Insufficient {name}")
    return found


def _ports(pod: Object) -> set[tuple[str, str, int]]:
    return {
        (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])
        for container in pod["spec"].get("containers") or []
        for port in container.get("ports") or []
        if port.get("hostPort")
    }


def least_allocated(asked: Mapping[str, Fraction], node: Object, present: Sequence[Object]) -> float:
    """0 to 100: the share of CPU and memory that stays free. A pod that asks for nothing counts a little."""
    room = allocatable(node)
    scores = []
    for name, default in _DEFAULTS.items():
        if not room.get(name):
            continue
        taken = sum((request(each).get(name, Fraction(0)) or default for each in present), Fraction(0))
        wanted = taken + (asked.get(name) or default)
        scores.append(float(max(room[name] - wanted, Fraction(0)) / room[name] * 100))
    return sum(scores) / len(scores) if scores else -float(len(present))


class Affinity:
    """Required pod affinity and anti-affinity of one pod against all that are placed."""

    def __init__(self, pod: Object, placed: Sequence[Object], node_labels: Mapping[str, Mapping[str, str]]) -> None:
        self._pod = pod
        self._labels = node_labels
        affinity = pod["spec"].get("affinity") or {}
        self._wanted = _terms(affinity.get("podAffinity"))
        self._unwanted = _terms(affinity.get("podAntiAffinity"))
        self._placed = placed
        self._refusing = [
            (other, term)
            for other in placed
            for term in _terms((other["spec"].get("affinity") or {}).get("podAntiAffinity"))
            if _selects(term, other, pod)
        ]

    def problems(self, node: Object) -> list[str]:
        """Why the pod must not be on the node."""
        labels = objects.labels(node)
        if any(not self._finds(term, labels) for term in self._wanted):
            return ["node(s) didn't match pod affinity rules"]
        if any(self._near(term, labels) for term in self._unwanted):
            return ["node(s) didn't match pod anti-affinity rules"]
        if any(self._same(term["topologyKey"], other, labels) for other, term in self._refusing):
            return ["node(s) didn't satisfy existing pods anti-affinity rules"]
        return []

    def _finds(self, term: Object, labels: Mapping[str, str]) -> bool:
        if term["topologyKey"] not in labels:
            return False
        matching = [other for other in self._placed if _selects(term, self._pod, other)]
        if not matching:
            # the first of a group that wants to be together may start anywhere
            return _selects(term, self._pod, self._pod)
        return any(self._same(term["topologyKey"], other, labels) for other in matching)

    def _near(self, term: Object, labels: Mapping[str, str]) -> bool:
        return any(
            _selects(term, self._pod, other) and self._same(term["topologyKey"], other, labels)
            for other in self._placed
        )

    def _same(self, key: str, other: Object, labels: Mapping[str, str]) -> bool:
        there = self._labels.get(other["spec"]["nodeName"], {})
        return key in labels and labels[key] == there.get(key)


def _terms(affinity: Object | None) -> list[Object]:
    return list((affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or [])


def _selects(term: Object, owner: Object, other: Object) -> bool:
    """Whether a term of `owner` means `other`. A namespaceSelector that is there means all namespaces."""
    namespaces = term.get("namespaces") or []
    if term.get("namespaceSelector") is None and objects.namespace(other) not in (
        namespaces or [objects.namespace(owner)]
    ):
        return False
    return selectors.from_object(term.get("labelSelector")).matches(objects.labels(other))
