"""The loop that brings a release to its desired state: look, act, look again.

It ends when nothing is left to do, when an action of a type that already ran would have to run again, or after a
remediation. Then it is for the caller to come back.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from nerv.controllers.flux import durations
from nerv.controllers.flux.api import READY, RECONCILING
from nerv.controllers.flux.helm import requests, snapshots
from nerv.controllers.flux.helm.request import RELEASED, REMEDIATED, Request
from nerv.controllers.flux.helm.state import Kind, State, determine, verified
from nerv.controllers.flux.helm.steps.drifting import correct
from nerv.controllers.flux.helm.steps.release import install, upgrade
from nerv.controllers.flux.helm.steps.remediation import MissingTarget, roll_back, uninstall_failed, unlock
from nerv.controllers.flux.helm.steps.testing import test
from nerv.controllers.flux.helm.view import INSTALL, ROLLBACK, UNINSTALL, UPGRADE, Remediation
from nerv.errors import NervError

_log = logging.getLogger(__name__)


class Verdict(Enum):
    """How a reconciliation ended."""

    DONE = "nothing is left to do until the interval is over"
    AGAIN = "to be gone on with at once"
    STALLED = "only a change of the object, the chart or the values can help"


class Type(Enum):
    """Types of steps; each runs once in a reconciliation."""

    RELEASE = "release"
    REMEDIATE = "remediate"
    TEST = "test"
    UNLOCK = "unlock"
    DRIFT_CORRECTION = "drift correction"


@dataclass(frozen=True)
class Step:
    """`action` names the part of the spec that holds the time-out."""

    name: str
    type: Type
    run: Callable[[Request], Awaitable[None]]
    action: str = ""


_INSTALL = Step("install", Type.RELEASE, install, INSTALL)
_UPGRADE = Step("upgrade", Type.RELEASE, upgrade, UPGRADE)
_TEST = Step("test", Type.TEST, test, "test")
_ROLLBACK = Step("rollback", Type.REMEDIATE, roll_back, ROLLBACK)
_UNINSTALL = Step("uninstall", Type.REMEDIATE, uninstall_failed, UNINSTALL)
_UNLOCK = Step("unlock", Type.UNLOCK, unlock)


class RetriesExceeded(NervError):
    """No retry is left."""


async def reconcile(request: Request) -> Verdict:
    """Run steps until the loop ends; the status is saved before each. Raises NervError: to be tried again."""
    draft = request.draft
    done: list[Type] = []
    while True:
        try:
            state = await determine(request)
        except NervError as error:
            draft.mark(READY, "False", "StateError", f"Could not determine release state: {error.message}")
            raise
        try:
            step = await _next(request, state)
        except RetriesExceeded:
            return _stalled(request)
        except MissingTarget as error:
            draft.stalled("MissingRollbackTarget", f"Failed to perform remediation: {error.message}")
            return Verdict.STALLED
        if step is None:
            return _finished(request)
        if step.type in done:
            return _stopped(request)
        await _announce(request, step)
        try:
            await step.run(request)
        except NervError as error:
            if draft.is_true(READY):
                draft.mark(READY, "False", "ReconcileError", error.message)
            raise
        if step.type is Type.REMEDIATE:
            if _exhausted(request):
                return _stalled(request)
            return _again(request)
        done.append(step.type)
        await draft.save()


async def _announce(request: Request, step: Step) -> None:
    """Say what runs now, since it may take long."""
    seconds = request.view.timeout(step.action)
    message = f"Running '{step.name}' action with timeout of {durations.text(seconds)}"
    request.draft.reconciling("Progressing", message)
    if step.type is Type.RELEASE:
        # other steps would hide what an earlier one failed with
        request.draft.mark(READY, "Unknown", "Progressing", message)
    await request.draft.save()
    _log.info("[%s/%s] %s", request.view.namespace, request.view.name, message)


def _finished(request: Request) -> Verdict:
    request.draft.drop(RECONCILING)
    request.summarize()
    if request.draft.is_true(READY):
        digest = request.view.post_renderers_digest
        request.status.pop("observedPostRenderersDigest", None)
        if digest:
            request.status["observedPostRenderersDigest"] = digest
    return Verdict.DONE


def _stopped(request: Request) -> Verdict:
    if not _exhausted(request):
        return _again(request)
    request.draft.drop(RECONCILING)
    return Verdict.DONE


def _again(request: Request) -> Verdict:
    ready = request.draft.condition(READY)
    request.draft.reconciling("ProgressingWithRetry", ready["message"] if ready else "")
    return Verdict.AGAIN


def _stalled(request: Request) -> Verdict:
    action = request.status.get("lastAttemptedReleaseAction", "")
    remediation = request.view.remediation(action)
    count = remediation.failures(request.status) if remediation else 0
    request.draft.stalled("RetriesExceeded", f"Failed to {action} after {count} attempt(s)")
    return Verdict.STALLED


def _active(request: Request) -> Remediation | None:
    return request.view.remediation(request.status.get("lastAttemptedReleaseAction"))


def _exhausted(request: Request) -> bool:
    remediation = _active(request)
    return remediation is not None and remediation.exhausted(request.status)


async def _next(request: Request, state: State) -> Step | None:
    """The step that the state asks for. Raises RetriesExceeded, MissingTarget."""
    # asked first, so that an upgrade for another reason answers the request as well
    forced = requests.force(request.draft.origin, request.status)
    _log.info("[%s/%s] release is %s: %s", request.view.namespace, request.view.name, state.kind.value, state.reason)
    match state.kind:
        case Kind.IN_SYNC:
            return _in_sync(request, forced)
        case Kind.LOCKED:
            return _UNLOCK
        case Kind.ABSENT:
            return _retried(request, _INSTALL, forced)
        case Kind.UNMANAGED:
            request.history = []
            return _UPGRADE
        case Kind.OUT_OF_SYNC:
            return _retried(request, _UPGRADE, forced)
        case Kind.DRIFTED:
            return _drifted(request, state)
        case Kind.UNTESTED:
            _forgive(request)
            return _TEST
        case Kind.FAILED:
            return await _failed(request, forced)


def _in_sync(request: Request, forced: bool) -> Step | None:
    action = request.status.get("lastAttemptedReleaseAction")
    request.history = snapshots.truncated(request.history, request.view.ignores_test_failures(action))
    if forced:
        return _UPGRADE
    _forgive(request)
    _recover(request)
    return None


def _recover(request: Request) -> None:
    """What failed before it reached the cluster (values that the chart refuses) and was taken back is in sync again.

    helm-controller 1.3 leaves such a release failed for ever; later versions do as here.
    """
    latest = request.latest
    released = request.draft.condition(RELEASED)
    if latest is None or released is None or released["status"] == "True":
        return
    action = {"InstallFailed": "Install", "UpgradeFailed": "Upgrade"}.get(released["reason"])
    if action:
        place = f"{snapshots.full_name(latest)} with chart {snapshots.chart_name(latest)}"
        message = f"Helm {action.lower()} succeeded for release {place}"
        request.draft.mark(RELEASED, "True", f"{action}Succeeded", message)


def _forgive(request: Request) -> None:
    """A release that is in sync after a rollback counts as upgraded: the rollback's target is what is wanted now."""
    latest = request.latest
    if not request.draft.is_true(REMEDIATED) or latest is None:
        return
    place = f"{snapshots.full_name(latest)} with chart {snapshots.chart_name(latest)}"
    request.draft.drop(REMEDIATED, RELEASED)
    request.draft.mark(RELEASED, "True", "UpgradeSucceeded", f"Helm upgrade succeeded for release {place}")


def _retried(request: Request, step: Step, forced: bool) -> Step:
    remediation = request.view.remediation(step.action)
    if remediation is not None and remediation.exhausted(request.status) and not forced:
        raise RetriesExceeded(f"exceeded maximum retries: cannot {step.name} release")
    return step


def _drifted(request: Request, state: State) -> Step | None:
    latest, found = request.latest, state.drift
    assert latest is not None
    assert found is not None
    release = snapshots.full_name(latest)
    message = f"Cluster state of release {release} has drifted from the desired state:\n{found.summary()}"
    request.event("Warning", "DriftDetected", message)
    if request.view.drift_mode != "enabled":
        return None
    return Step("correct cluster drift", Type.DRIFT_CORRECTION, lambda request: correct(request, found.differences))


async def _failed(request: Request, forced: bool) -> Step:
    remediation = _active(request)
    # without a count, what it failed on has changed since
    if remediation is None or remediation.failures(request.status) <= 0 or forced:
        return _UPGRADE
    if remediation.exhausted(request.status) and not remediation.remediate_last:
        raise RetriesExceeded("exceeded maximum retries: cannot remediate failed release")
    request.history = snapshots.truncated(request.history, remediation.ignore_tests)
    if remediation.strategy == UNINSTALL:
        return _UNINSTALL
    target = snapshots.previous(request.history, remediation.ignore_tests)
    if target is None:
        raise MissingTarget("missing target release for rollback: cannot remediate failed release")
    stored = await request.storage().get(target["name"], target["version"])
    if stored is None or not verified(target, stored):
        return _UPGRADE
    return _ROLLBACK
