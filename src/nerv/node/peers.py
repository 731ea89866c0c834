"""Whether other pods do the same work as a pod: replicas of one workload, whatever revision they are of. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from nerv.kube import objects
from nerv.kube.objects import Object

_OF_ONE_POD = (
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
)
"""Labels that controllers give to tell their pods and revisions apart."""


def is_served(pod: Object, pods: Iterable[Object]) -> bool:
    """Whether another of the pods is ready, stays, and has the labels of this one."""
    own = _identity(pod)
    return bool(own[1]) and any(
        _identity(each) == own
        and objects.uid(each) != objects.uid(pod)
        and objects.is_true(each, "Ready")
        and not objects.deleting(each)
        for each in pods
    )


def _identity(pod: Object) -> tuple[str, dict[str, str]]:
    labels = {key: value for key, value in objects.labels(pod).items() if key not in _OF_ONE_POD}
    return objects.namespace(pod), labels
