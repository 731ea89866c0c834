"""Install and upgrade."""

from __future__ import annotations

from nerv.builders.helm import Release
from nerv.controllers.flux.helm import snapshots
from nerv.controllers.flux.helm.engine.install import install as helm_install
from nerv.controllers.flux.helm.engine.upgrade import upgrade as helm_upgrade
from nerv.controllers.flux.helm.postrender import post_renderer
from nerv.controllers.flux.helm.request import (
    RELEASED,
    REMEDIATED,
    TEST_SUCCESS,
    Request,
    StepError,
    observed,
)
from nerv.controllers.flux.helm.view import INSTALL, UPGRADE
from nerv.errors import NervError


async def install(request: Request) -> None:
    """Install; a new life of the release begins, its history starts anew. Raises StepError."""
    request.status["lastAttemptedReleaseAction"] = INSTALL
    request.history = []
    await _release(request, INSTALL)


async def upgrade(request: Request) -> None:
    """Upgrade. Raises StepError."""
    request.status["lastAttemptedReleaseAction"] = UPGRADE
    await _release(request, UPGRADE)


async def _release(request: Request, action: str) -> None:
    assert request.chart is not None
    view = request.view
    request.draft.drop(TEST_SUCCESS, REMEDIATED)
    written: dict[int, Release] = {}
    storage = request.storage(observed(written))
    options = view.options(action, request.kubeconfig)
    arguments = (request.cluster, storage, request.chart, request.values, view.release_name)
    post_render = post_renderer(view)
    failure: NervError | None = None
    try:
        if action == INSTALL:
            await helm_install(*arguments, view.release_namespace, options, post_render)
        else:
            await helm_upgrade(*arguments, options, post_render)
    except NervError as error:
        failure = error
    _record(request, written)
    if failure is None:
        _succeeded(request, action)
    else:
        _failed(request, action, failure)
        if written:
            request.count_attempt()
    request.summarize()
    if failure is not None and not written:
        raise StepError(failure.message)


def _record(request: Request, written: dict[int, Release]) -> None:
    """Put the new version in front of the history and renew the snapshots of older versions that were written."""
    if not written:
        return
    newest, *older = sorted(written, reverse=True)
    oci_digest = request.status.get("lastAttemptedRevisionDigest", "")
    history = request.history
    for version in older:
        history = snapshots.recorded(history, written[version], add=False)
    request.history = [snapshots.of(written[newest], oci_digest), *history]


def _succeeded(request: Request, action: str) -> None:
    latest = request.latest
    assert latest is not None
    release, chart = snapshots.full_name(latest), snapshots.chart_name(latest)
    reason = f"{action.capitalize()}Succeeded"
    message = f"Helm {action} succeeded for release {release} with chart {chart}"
    request.draft.mark(RELEASED, "True", reason, message)
    if request.view.tests and not snapshots.tested(latest):
        pending = f"Helm release {release} with chart {chart} is awaiting tests"
        request.draft.mark(TEST_SUCCESS, "Unknown", "AwaitingTests", pending)
    request.event("Normal", reason, message, latest)


def _failed(request: Request, action: str, error: NervError) -> None:
    assert request.chart is not None
    view, chart = request.view, request.chart
    reason = f"{action.capitalize()}Failed"
    release = f"{view.release_namespace}/{view.release_name}"
    message = f"Helm {action} failed for release {release} with chart {chart.name}@{chart.version}: "
    message += error.message.strip()
    request.count_failure()
    request.draft.mark(RELEASED, "False", reason, message)
    request.event("Warning", reason, message, request.attempt())
