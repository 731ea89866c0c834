"""Which Services a pod concerns, so that a change of a pod asks for these alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nerv.controllers.kubernetes import pods
from nerv.controllers.runtime import Informer, Key, key_of
from nerv.kube import objects, selectors
from nerv.kube.objects import Object


def selected(service: Object, pod_informer: Informer) -> list[Object]:
    """The pods that a Service selects."""
    selector = selectors.from_labels(service["spec"].get("selector"))
    return [pod for pod in pod_informer.list(objects.namespace(service)) if selector.matches(objects.labels(pod))]


def is_selecting(service: Object) -> bool:
    """Whether the Service's endpoints are ours to make."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def by_pod(services: Informer) -> Callable[[Object | None, Object | None], Iterable[Key]]:
    """The map from a pod's change to the Services that select it, before or after."""

    def map(old: Object | None, new: Object | None) -> Iterable[Key]:
        if old is not None and new is not None and _traits(old) == _traits(new):
            return ()
        found = set()
        for pod in (old, new):
            if pod is None:
                continue
            for service in services.list(objects.namespace(pod)):
                if selectors.from_labels(service["spec"].get("selector")).matches(objects.labels(pod)):
                    found.add(key_of(service))
        return found

    return map


def _traits(pod: Object) -> tuple[object, ...]:
    """All of a pod that endpoints show."""
    spec = pod["spec"]
    return (
        objects.labels(pod),
        pod.get("status", {}).get("podIPs"),
        pods.is_ready(pod),
        pods.is_finished(pod),
        objects.deleting(pod),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
    )
