"""One reconciliation of a HelmRelease: everything its steps need, and the few ways in which they speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nerv.builders.helm import Chart, Release, values
from nerv.controllers.flux.api import READY, STALLED
from nerv.controllers.flux.helm import snapshots
from nerv.controllers.flux.helm.attempt import Attempt
from nerv.controllers.flux.helm.engine.cluster import Cluster
from nerv.controllers.flux.helm.engine.storage import Observe, Storage
from nerv.controllers.flux.helm.snapshots import Snapshot
from nerv.controllers.flux.helm.view import GROUP, View
from nerv.controllers.runtime import EventRecorder
from nerv.errors import NervError

RELEASED = "Released"
REMEDIATED = "Remediated"
TEST_SUCCESS = "TestSuccess"


class StepError(NervError):
    """A step could not even begin, or left nothing behind: it is to be tried again."""


@dataclass
class Request:
    """`draft` is the object and the status that is made of it. Without a chart only an uninstallation is possible."""

    draft: Attempt
    view: View
    cluster: Cluster
    events: EventRecorder
    chart: Chart | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    kubeconfig: str = ""

    @property
    def status(self) -> dict[str, Any]:
        """The status in the making."""
        return self.draft.status

    @property
    def history(self) -> list[Snapshot]:
        """What is remembered of the release's versions."""
        found: list[Snapshot] = self.status.get("history") or []
        return found

    @history.setter
    def history(self, history: list[Snapshot]) -> None:
        if history:
            self.status["history"] = sorted(history, key=lambda each: -int(each["version"]))
        else:
            self.status.pop("history", None)

    @property
    def latest(self) -> Snapshot | None:
        """The newest version that is remembered."""
        return snapshots.latest(self.history)

    def storage(self, observe: Observe = lambda release: None) -> Storage:
        """The release Secrets, in the namespace that was used so far."""
        return Storage(self.cluster, self.status["storageNamespace"], self.view.max_history, observe)

    def count_failure(self) -> None:
        """One more failure of any kind."""
        self.status["failures"] = int(self.status.get("failures") or 0) + 1

    def count_attempt(self) -> None:
        """One more failure of the last release action, for its remediation."""
        remediation = self.view.remediation(self.status.get("lastAttemptedReleaseAction"))
        if remediation is not None:
            self.status[remediation.counter] = remediation.failures(self.status) + 1

    def clear_failures(self) -> None:
        """Begin to count anew."""
        for counter in ("failures", "installFailures", "upgradeFailures"):
            self.status.pop(counter, None)

    def event(self, type: str, reason: str, message: str, about: Mapping[str, Any] | None = None) -> None:
        """Record an event; `about` is the snapshot (or the like) it speaks of."""
        fields = about or {}
        found = {
            f"{GROUP}/revision": fields.get("chartVersion"),
            f"{GROUP}/token": fields.get("configDigest"),
            f"{GROUP}/app-version": fields.get("appVersion"),
            f"{GROUP}/oci-digest": fields.get("ociDigest"),
        }
        annotations = {name: text for name, text in found.items() if text}
        self.events.event(self.draft.obj, type, reason, message, annotations or None)

    def attempt(self) -> dict[str, Any]:
        """What an event about the chart and values at hand speaks of."""
        assert self.chart is not None
        return {
            "chartVersion": self.chart.version,
            "configDigest": values.digest(self.values),
            "appVersion": self.chart.app_version,
            "ociDigest": self.status.get("lastAttemptedRevisionDigest", ""),
        }

    def summarize(self) -> None:
        """Make Ready of what was remediated, tested and released: the newest generation decides, then that order."""
        summed = [REMEDIATED, RELEASED]
        if self.view.tests and not self.view.ignores_tests:
            summed = [REMEDIATED, TEST_SUCCESS, RELEASED]
        if not self.view.tests:
            self.draft.drop(TEST_SUCCESS)
        found = [each for each in self.draft.conditions if each["type"] in summed]
        if not found:
            return
        first = min(found, key=lambda each: (-int(each.get("observedGeneration") or 0), summed.index(each["type"])))
        # whatever had to be remediated is no success
        status = "False" if first["type"] == REMEDIATED else first["status"]
        if status == "True":
            self.draft.drop(STALLED)
        self.draft.mark(READY, status, first["reason"], first["message"])


def observed(into: dict[int, Release]) -> Observe:
    """Remember what was written to storage, by version."""

    def observe(release: Release) -> None:
        into[release.version] = release

    return observe
