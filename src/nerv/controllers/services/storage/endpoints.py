"""Whether Longhorn's admission webhook can be reached. The manager waits for it before it writes its first object:
every write of its kinds is asked about, its own included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nerv.controllers.runtime import Informer, Informers, Key, Watch
from nerv.controllers.services.storage import resources
from nerv.kube import objects
from nerv.kube.objects import Object
from nerv.kube.resources import ENDPOINT_SLICES

_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True)
class Admission:
    """The endpoints of the admission webhook's Service."""

    slices: Informer

    @classmethod
    def of(cls, informers: Informers) -> Admission:
        """Shared with all who watch endpoints."""
        return cls(informers.of(ENDPOINT_SLICES))

    def is_ready(self, namespace: str) -> bool:
        """Whether a ready endpoint exists."""
        return any(_ready(each) for each in self.slices.list(namespace) if _is_ours(each))

    def watch(self, keys: Callable[[], Iterable[Key]]) -> Watch:
        """Asks for `keys` when the webhook becomes reachable or is not any more."""

        def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
            ours = [each for each in (old, new) if each is not None and _is_ours(each)]
            same = old is not None and new is not None and _ready(old) == _ready(new)
            return () if not ours or same else keys()

        return Watch(self.slices, changed)


def _is_ours(part: Object) -> bool:
    return objects.labels(part).get(_LABEL) == resources.ADMISSION_SERVICE


def _ready(part: Object) -> bool:
    return any((each.get("conditions") or {}).get("ready") is not False for each in part.get("endpoints") or [])
