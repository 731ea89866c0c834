"""The state of a release: Helm's storage held against the HelmRelease, its chart and its values."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

from nerv.builders.helm import Release, releases, values
from nerv.controllers.flux.api import READY
from nerv.controllers.flux.helm import drift, snapshots
from nerv.controllers.flux.helm.drift import Drift
from nerv.controllers.flux.helm.request import Request
from nerv.controllers.flux.helm.snapshots import Snapshot
from nerv.errors import NervError

_log = logging.getLogger(__name__)


class Kind(Enum):
    """What helm-controller tells apart."""

    ABSENT = "Absent"
    UNMANAGED = "Unmanaged"
    OUT_OF_SYNC = "OutOfSync"
    DRIFTED = "Drifted"
    LOCKED = "Locked"
    UNTESTED = "Untested"
    IN_SYNC = "InSync"
    FAILED = "Failed"


@dataclass(frozen=True)
class State:
    """A state, why it is so, and the differences of a drifted release."""

    kind: Kind
    reason: str = ""
    drift: Drift | None = None


async def determine(request: Request) -> State:
    """Look at the newest version in storage. Raises NervError when the state cannot be known."""
    release = await request.storage().last(request.view.release_name)
    if release is None:
        return State(Kind.ABSENT, "no release in storage for object")
    if release.status in releases.PENDING:
        return State(Kind.LOCKED, f"release with status '{release.status}'")
    latest = request.latest
    if latest is None:
        if release.status == releases.UNINSTALLED:
            return State(Kind.ABSENT, "found uninstalled release in storage")
        return State(Kind.UNMANAGED, "found existing release in storage")
    if not verified(latest, release):
        return State(Kind.UNMANAGED, "release not observed to be made for object")
    if release.status == releases.FAILED:
        return State(Kind.FAILED)
    if release.status == releases.UNINSTALLED:
        return State(Kind.ABSENT, "found uninstalled release in storage")
    if release.status != releases.DEPLOYED:
        raise NervError(f"unable to determine state for release with status '{release.status}'")
    return _out_of_sync(request, release, latest) or _untested(request, latest) or await _drifted(request, release)


def verified(snapshot: Snapshot, release: Release) -> bool:
    """Whether the version in storage is the one that was remembered, untouched."""
    return bool(snapshot["digest"] == releases.digest(release, snapshot.get("ociDigest", "")))


def _out_of_sync(request: Request, release: Release, latest: Snapshot) -> State | None:
    chart = request.chart
    assert chart is not None
    if (release.metadata.get("name"), release.metadata.get("version")) != (chart.name, chart.version):
        return State(Kind.OUT_OF_SYNC, "release chart changed")
    if latest["configDigest"] != values.digest(request.values):
        return State(Kind.OUT_OF_SYNC, "release config values changed")
    ready = request.draft.condition(READY)
    # the digest is written when a generation succeeded, so only a new generation can have changed it
    if (
        ready is not None
        and ready.get("observedGeneration") != request.draft.generation
        and request.view.post_renderers_digest != request.status.get("observedPostRenderersDigest", "")
    ):
        return State(Kind.OUT_OF_SYNC, "postrenderers digest has changed")
    return None


def _untested(request: Request, latest: Snapshot) -> State | None:
    if not request.view.tests:
        return None
    if not snapshots.tested(latest):
        return State(Kind.UNTESTED)
    remediation = request.view.remediation(request.status.get("lastAttemptedReleaseAction"))
    if remediation is not None and not remediation.ignore_tests and snapshots.failed_test(latest):
        return State(Kind.FAILED, "release has test in failed phase")
    return None


async def _drifted(request: Request, release: Release) -> State:
    if request.view.drift_mode == "disabled":
        return State(Kind.IN_SYNC)
    found = await drift.find(request.cluster, release, request.view.drift_ignore)
    if found.present:
        return State(Kind.DRIFTED, "detected changes in cluster state", found)
    if found.failures:
        raise NervError(f"unable to determine cluster state: {'; '.join(found.failures)}")
    return State(Kind.IN_SYNC)
