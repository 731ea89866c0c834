"""Which pods of a component really run. A component's work is its pod's work: no ready pod, no work.

Pods are known by the image of a container, because release names and namespaces are the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nerv.controllers.runtime import Informer, Informers, Key, Watch
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import PODS

_INDEX = "image of a ready pod"


def image_name(image: str) -> str:
    """The last two parts of an image's name: `quay.io/metallb/controller:v0.15.2` is `metallb/controller`."""
    parts = image.partition("@")[0].split("/")
    parts[-1] = parts[-1].partition(":")[0]
    return "/".join(parts[-2:])


def uses(pod: Object | None, image: str) -> bool:
    """Whether a container of the pod has the image."""
    return pod is not None and any(image_name(each["image"]) == image for each in pod["spec"]["containers"])


def is_ready(pod: Object | None) -> bool:
    """Whether Services send requests to the pod."""
    return pod is not None and not objects.deleting(pod) and objects.is_true(pod, "Ready")


def arguments(pod: Object, image: str) -> list[str]:
    """Command and arguments of the container with the image."""
    for container in pod["spec"]["containers"]:
        if image_name(container["image"]) == image:
            return [*(container.get("command") or []), *(container.get("args") or [])]
    return []


def option(pod: Object, image: str, flag: str, default: str = "") -> str:
    """The value of `--flag=value` or `--flag value` of that container."""
    words = arguments(pod, image)
    for index, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and index + 1 < len(words):
            return words[index + 1]
    return default


def _ready_images(pod: Object) -> Iterable[str]:
    return {image_name(each["image"]) for each in pod["spec"]["containers"]} if is_ready(pod) else ()


@dataclass(frozen=True)
class Presence:
    """The ready pods of one image. `belongs` leaves out pods of the same image with another task."""

    pods: Informer
    image: str
    belongs: Callable[[Object], bool] = lambda pod: True

    @classmethod
    def of(cls, informers: Informers, image: str, belongs: Callable[[Object], bool] = lambda pod: True) -> Presence:
        """In all namespaces."""
        pods = informers.of(PODS)
        pods.add_index(_INDEX, _ready_images)
        return cls(pods, image, belongs)

    def ready(self) -> list[Object]:
        """Ready pods by name."""
        return sorted(filter(self.belongs, self.pods.indexed(_INDEX, self.image)), key=objects.key)

    def leader(self) -> Object | None:
        """The pod that does what only one may do; None while none is ready."""
        return next(iter(self.ready()), None)

    def watch(self, keys: Callable[[], Iterable[Key]]) -> Watch:
        """Asks for `keys` whenever a pod of the image becomes ready, is not any more, or changes its address."""

        def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
            if not (uses(old, self.image) or uses(new, self.image)) or _face(old) == _face(new):
                return ()
            return keys()

        return Watch(self.pods, changed)


def _face(pod: Object | None) -> tuple[str, str]:
    """What others see of a pod."""
    if pod is None or not is_ready(pod):
        return "", ""
    return objects.uid(pod), address(pod)


def address(pod: Object) -> str:
    """The pod's address, empty before it has one."""
    return (pod.get("status") or {}).get("podIP") or ""
