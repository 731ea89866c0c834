"""Whether a pod may run on a node: selectors, affinity, taints. Pure; shared by the scheduler and DaemonSets.

Rules of k8s.io/component-helpers/scheduling/corev1, version 1.31.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nerv.kube import objects, selectors
from nerv.kube.objects import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def matches_selector(pod: Object, node: Object) -> bool:
    """Whether nodeSelector and the required node affinity hold."""
    spec = pod["spec"]
    labels = objects.labels(node)
    wanted = spec.get("nodeSelector") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_terms(required.get("nodeSelectorTerms") or [], node)


def matches_terms(terms: Sequence[Object], node: Object) -> bool:
    """Whether one of a node selector's terms holds; an empty term matches nothing."""
    return any(_matches_term(term, node) for term in terms)


def _matches_term(term: Object, node: Object) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    labels = objects.labels(node)
    named = {"metadata.name": objects.name(node)}
    return all(_matches(each, labels) for each in expressions) and all(_matches(each, named) for each in fields)


_GREATER_LESS = {"Gt": ">", "Lt": "<"}


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    operator = expression["operator"]
    values = tuple(expression.get("values") or ())
    if operator in _GREATER_LESS:
        return selectors.Requirement(expression["key"], _GREATER_LESS[operator], values).matches(labels)
    return selectors.from_object({"matchExpressions": [expression]}).matches(labels)


def preferred_score(pod: Object, node: Object) -> int:
    """The sum of the weights of the preferred node affinity terms that hold."""
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(each["weight"] for each in preferred if _matches_term(each["preference"], node))


def taints(node: Object) -> list[Object]:
    """`spec.taints`; a node that is `unschedulable` counts as tainted so."""
    spec = node.get("spec") or {}
    found = list(spec.get("taints") or [])
    if spec.get("unschedulable") and not any(each["key"] == UNSCHEDULABLE for each in found):
        found.append({"key": UNSCHEDULABLE, "effect": "NoSchedule"})
    return found


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether a toleration covers a taint."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if (toleration.get("operator") or "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(pod: Object, node: Object, effects: Iterable[str]) -> Object | None:
    """The first taint with one of the effects that the pod does not tolerate."""
    tolerations = pod["spec"].get("tolerations") or []
    for taint in taints(node):
        if taint["effect"] in effects and not any(tolerates(each, taint) for each in tolerations):
            return taint
    return None
