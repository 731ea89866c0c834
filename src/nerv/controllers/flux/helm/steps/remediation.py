"""What follows failures: rolling back, uninstalling, unlocking; and the uninstallation at the end of a release."""

from __future__ import annotations

from nerv.builders.helm import Release, releases
from nerv.controllers.flux.helm import snapshots
from nerv.controllers.flux.helm.engine.cluster import ActionError
from nerv.controllers.flux.helm.engine.rollback import rollback as helm_rollback
from nerv.controllers.flux.helm.engine.uninstall import NoRelease
from nerv.controllers.flux.helm.engine.uninstall import uninstall as helm_uninstall
from nerv.controllers.flux.helm.request import RELEASED, REMEDIATED, Request, StepError
from nerv.controllers.flux.helm.snapshots import Snapshot
from nerv.controllers.flux.helm.view import ROLLBACK, UNINSTALL, UPGRADE
from nerv.errors import NervError


class NoLatest(StepError):
    """No version is remembered."""


class MissingTarget(NervError):
    """There is no version to go back to."""


async def roll_back(request: Request) -> None:
    """Go back to the last version that was deployed well. Raises MissingTarget, StepError."""
    current = request.latest
    target = snapshots.previous(request.history, request.view.ignores_test_failures(UPGRADE))
    if target is None or current is None:
        request.summarize()
        raise MissingTarget("missing target release for rollback: required to rollback")

    def observe(release: Release) -> None:
        request.history = snapshots.recorded(request.history, release, add=True)

    name, chart = snapshots.full_name(target), snapshots.chart_name(target)
    about = {**target, "configDigest": request.attempt()["configDigest"]}
    try:
        options = request.view.options(ROLLBACK)
        await helm_rollback(request.cluster, request.storage(observe), target["name"], target["version"], options)
    except NervError as error:
        message = f"Helm rollback to previous release {name} with chart {chart} failed: {error.message.strip()}"
        request.count_failure()
        request.draft.mark(REMEDIATED, "False", "RollbackFailed", message)
        request.event("Warning", "RollbackFailed", message, about)
        request.summarize()
        if _unchanged(request, current):
            raise StepError(error.message) from None
        return
    message = f"Helm rollback to previous release {name} with chart {chart} succeeded"
    request.draft.mark(REMEDIATED, "True", "RollbackSucceeded", message)
    request.event("Normal", "RollbackSucceeded", message, about)
    request.summarize()


def _unchanged(request: Request, before: Snapshot) -> bool:
    latest = request.latest
    return latest is None or latest["digest"] == before["digest"]


async def _uninstall(request: Request, current: Snapshot) -> None:
    """Uninstall what is remembered as the newest version. Raises ActionError and the errors of the API."""

    def observe(release: Release) -> None:
        request.history = snapshots.recorded(request.history, release, add=False)

    done = await helm_uninstall(
        request.cluster, request.storage(observe), current["name"], request.view.options(UNINSTALL)
    )
    if not snapshots.targets(current, done):
        release = f"{done.namespace}/{done.name}.v{done.version}"
        current_name = snapshots.full_name(current)
        raise ActionError(f"release mismatch: uninstalled release {release} != current release {current_name}")
    if _unchanged(request, current) and current["status"] != releases.UNINSTALLED:
        raise ActionError("uninstall completed with error: release not updated in Helm storage")


async def uninstall_failed(request: Request) -> None:
    """Remediate by uninstalling. Raises StepError."""
    current = request.latest
    if current is None:
        raise NoLatest("no latest release: required to uninstall")
    place = f"{snapshots.full_name(current)} with chart {snapshots.chart_name(current)}"
    try:
        await _uninstall(request, current)
    except NervError as error:
        message = f"Helm uninstall remediation for release {place} failed: {error.message.strip()}"
        request.count_failure()
        request.draft.mark(REMEDIATED, "False", "UninstallFailed", message)
        request.event("Warning", "UninstallFailed", message, request.latest)
        request.summarize()
        if _unchanged(request, current):
            raise StepError(error.message) from None
        return
    message = f"Helm uninstall remediation for release {place} succeeded"
    request.draft.mark(REMEDIATED, "True", "UninstallSucceeded", message)
    request.event("Normal", "UninstallSucceeded", message, request.latest)
    request.summarize()


async def uninstall(request: Request) -> None:
    """Uninstall because the object goes away or points elsewhere now. Raises NoLatest, StepError."""
    current = request.latest
    if current is None:
        request.summarize()
        raise NoLatest("no latest release: required to uninstall")
    name, chart = snapshots.full_name(current), snapshots.chart_name(current)
    try:
        await _uninstall(request, current)
    except NoRelease:
        message = f"Release {name} was not found, assuming it is uninstalled"
        request.draft.mark(RELEASED, "False", "UninstallSucceeded", message)
        request.summarize()
        return
    except NervError as error:
        if request.view.options(UNINSTALL).keep_history and error.message.endswith("is already deleted"):
            message = f"Release {name} was already uninstalled"
            request.draft.mark(RELEASED, "False", "UninstallSucceeded", message)
            request.summarize()
            return
        message = f"Helm uninstall failed for release {name} with chart {chart}: {error.message.strip()}"
        request.count_failure()
        request.draft.mark(RELEASED, "False", "UninstallFailed", message)
        request.event("Warning", "UninstallFailed", message, request.latest)
        request.summarize()
        raise StepError(error.message) from None
    message = f"Helm uninstall succeeded for release {name} with chart {chart}"
    request.draft.mark(RELEASED, "False", "UninstallSucceeded", message)
    request.event("Normal", "UninstallSucceeded", message, request.latest)
    request.summarize()


async def unlock(request: Request) -> None:
    """Call a release failed that an action left behind as pending. Raises StepError."""

    def observe(release: Release) -> None:
        request.history = snapshots.recorded(request.history, release, add=False)

    storage = request.storage(observe)
    last = await storage.last(request.view.release_name)
    if last is None or last.status not in releases.PENDING:
        request.summarize()
        return
    before = snapshots.of(last)
    place = f"{snapshots.full_name(before)} with chart {snapshots.chart_name(before)} in {last.status} state"
    try:
        await storage.update(last.now(releases.FAILED, f"Release unlocked from stale '{last.status}' state"))
    except ActionError as error:
        message = f"Unlock of Helm release {place} failed: {error.message.strip()}"
        request.count_failure()
        request.draft.mark(RELEASED, "False", "PendingRelease", message)
        request.event("Warning", "PendingRelease", message, before)
        request.summarize()
        raise StepError(error.message) from None
    message = f"Unlocked Helm release {place}"
    request.draft.mark(RELEASED, "False", "PendingRelease", message)
    request.event("Normal", "PendingRelease", message, before)
    request.summarize()
