"""The status of a HelmRelease while one generation of it is worked on, however long that takes.

An action can run for minutes. What changes in the spec or the annotations meanwhile is for the next reconciliation, so
conditions and the observed generation speak of the generation that this one began with.
"""

from __future__ import annotations

from typing_extensions import override

from nerv.controllers.flux.api import HELM_RELEASES, REQUESTED_AT
from nerv.controllers.flux.draft import Draft
from nerv.controllers.runtime import Clock, Writer
from nerv.kube import objects
from nerv.kube.objects import Object


class Attempt(Draft):
    """A `Draft` that remembers which object it began with, as `origin`."""

    def __init__(self, obj: Object, writer: Writer, clock: Clock) -> None:
        super().__init__(HELM_RELEASES, obj, writer, clock)
        self.origin = obj

    @property
    @override
    def generation(self) -> int:
        return objects.generation(self.origin)

    @override
    def handled(self) -> None:
        token = objects.annotations(self.origin).get(REQUESTED_AT)
        if token:
            self.status["lastHandledReconcileAt"] = token
